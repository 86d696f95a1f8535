"""Serves OpenTAXII on SQLite, TAXII 2.1 only, until standard input ends.

Usage: serve_opentaxii.py DIR

DIR/content.json says what is there: accounts, API roots, their collections and
the objects of these with the dates on which they were added. Databases and
configuration are made in DIR. With as_released, OpenTAXII stays as it is;
otherwise a mistake is mended that was mended after version 0.9.3, see main.
"""
import datetime
import functools
import json
import logging
import os
import sys
import threading

import yaml

folder = sys.argv[1]
CONFIG = {
    "domain": "localhost",
    "support_basic_auth": True,
    "auth_api": {
        "class": "opentaxii.auth.sqldb.SQLDatabaseAPI",
        "parameters": {
            "db_connection": f"sqlite:///{folder}/auth.db",
            "create_tables": True,
            "secret": "a secret of this test and no other server",
        },
    },
    "taxii1": None,
    "taxii2": {
        "title": "OpenTAXII",
        "contact": "interop@example.com",
        "max_content_length": 100000000,
        "public_discovery": False,
        "persistence_api": {
            "class": "opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI",
            "parameters": {
                "db_connection": f"sqlite:///{folder}/data.db",
                "create_tables": True,
            },
        },
    },
    "logging": {"opentaxii": "warning", "root": "warning"},
}
config_path = os.path.join(folder, "opentaxii.yml")
with open(config_path, "w", encoding="utf-8") as f:
    yaml.safe_dump(CONFIG, f)

import opentaxii.taxii2.http as taxii2_http  # noqa: E402
from opentaxii.config import ServerConfig  # noqa: E402
from opentaxii.middleware import create_app  # noqa: E402
from opentaxii.persistence.sqldb import taxii2models as models  # noqa: E402
from opentaxii.server import TAXIIServer  # noqa: E402
from opentaxii.utils import configure_logging  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def say(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


def instant(text):
    when = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return when.replace(tzinfo=datetime.timezone.utc)


def fill(server, content):
    """Fills the empty server and returns the ids that it gave, by title."""
    ids = {}
    api = server.servers.taxii2.persistence.api
    for root in content["roots"]:
        made = api.add_api_root(
            title=root["title"],
            description=root.get("description"),
            default=root.get("default", False),
            is_public=root.get("public", False),
        )
        ids[root["title"]] = str(made.id)
        for col in root["collections"]:
            kept = api.add_collection(
                api_root_id=made.id,
                title=col["title"],
                alias=col.get("alias"),
                is_public=col.get("public", False),
            )
            ids[col["title"]] = str(kept.id)
            # What is posted gets the date on which that happens; these have one
            # of their own, which only a row can be given.
            api.db.session.add_all(row(kept.id, e) for e in col["objects"] or [])
            api.db.session.commit()
    # Its own accounts can not be given single collections of TAXII 2: what
    # permission they can hold, "read", is not what is looked for, a list with it.
    for account in content["accounts"]:
        server.auth.api.create_account(
            account["username"], account["password"], is_admin=account["admin"]
        )
    return ids


def row(collection_id, entry):
    stix = dict(entry["object"])
    return models.STIXObject(
        id=stix.pop("id"),
        collection_id=collection_id,
        type=stix.pop("type"),
        spec_version=stix.pop("spec_version", "2.1"),
        date_added=instant(entry["date_added"]),
        version=instant(stix["modified"]),
        serialized_data=stix,
    )


class LenientJSON:
    """json, but for ids, which are objects here."""

    dumps = staticmethod(functools.partial(json.dumps, default=str))


def main():
    config = ServerConfig(optional_env_var="", extra_configs=[config_path])
    configure_logging(config["logging"])  # to standard error
    logging.getLogger("werkzeug").setLevel(logging.INFO)
    server = TAXIIServer(config)
    app = create_app(server)
    with open(os.path.join(folder, "content.json"), encoding="utf-8") as f:
        content = json.load(f)
    if not content["as_released"]:
        # Collections can not be described and objects not be posted, as ids do not
        # go into JSON (eclecticiq/OpenTAXII#243, #289).
        taxii2_http.json = LenientJSON
    with app.app_context():
        ids = fill(server, content)
    http = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    say("listening", port=http.server_port, ids=ids)
    sys.stdin.read()


main()
