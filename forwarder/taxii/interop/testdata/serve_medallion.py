"""Serves medallion with its memory backend, until standard input ends.

Usage: serve_medallion.py DIR

DIR/config.json is medallion's configuration, DIR/data.json the content of its
memory backend; @ORIGIN@ in the latter stands for this server's address.
"""
import functools
import io
import json
import os
import sys
import threading

import medallion.common


def determine_spec_version(obj):
    if "created" not in obj and "modified" not in obj:
        return "2.1"
    return obj.get("spec_version", "2.0")


# Both are called for every pair of objects; see the package documentation. This
# has to come before other modules of medallion take the functions over by name.
medallion.common.determine_spec_version = determine_spec_version
medallion.common.string_to_datetime = functools.lru_cache(maxsize=None)(
    medallion.common.string_to_datetime
)

import medallion  # noqa: E402
from medallion.backends.memory_backend import MemoryBackend  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def say(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


class Backend(MemoryBackend):
    """Says when next tokens have expired."""

    def _pop_expired_sessions(self):
        before = set(self.next)
        super()._pop_expired_sessions()
        if expired := before - set(self.next):
            say("expired", tokens=sorted(expired))


def main(folder):
    app = medallion.application_instance
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    with open(os.path.join(folder, "data.json"), encoding="utf-8") as f:
        data = f.read().replace("@ORIGIN@", f"http://127.0.0.1:{server.server_port}")
    medallion.set_config(app, "users", config)
    medallion.set_config(app, "taxii", config)
    with app.app_context():
        app.medallion_backend = Backend(filename=io.StringIO(data), **config["backend"])
    medallion.register_blueprints(app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("listening", port=server.server_port)
    sys.stdin.read()


main(sys.argv[1])
