"""Reads STIX objects, one a line, and says of each what is wrong with it."""

import json
import sys

import stix2
from stix2patterns.validator import run_validator

for line in sys.stdin:
    document = json.loads(line)
    problem = ""
    version = document.get("spec_version", "2.0")
    try:
        pattern_type = document["pattern_type"]
        if version == "2.0":  # which does not have them, but Sentinel wants to know
            del document["pattern_type"], document["spec_version"]
        stix2.parse(document, allow_custom=False, version=version)
        if pattern_type == "stix":
            found = run_validator(document["pattern"], stix_version=version)
            problem = "; ".join(str(f) for f in found)
    except Exception as e:  # whatever it finds wrong
        problem = f"{type(e).__name__}: {e}"
    print(json.dumps({"ID": document.get("id"), "Problem": problem}))
