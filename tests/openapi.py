#!/usr/bin/env python3
"""The OpenAPI document against a running gateway: requests that it allows, and many that it does not.

    pip install schemathesis
    cargo build && tests/openapi.py [--gateway FILE] [OPTION OF st run]...

Whatever a request has, the gateway must not fail of itself, and must not respond with a status, a header or a body
that the document does not have. Sync, here `vingate demo`'s sandbox, may respond as it likes: the document says so
("default"). A VIN or plate made at random is hardly ever one, so most are made after a pattern.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HOOKS = """
import schemathesis

@schemathesis.check
def is_documented(ctx, response, case):
    if response.headers.get("content-type") != ["application/problem+json"]:
        return
    status = str(response.status_code)
    assert status in case.operation.definition.raw["responses"], "the gateway's own " + status
    assert status < "500", "the gateway fails"
"""

CHECKS = ["is_documented", "not_a_server_error", "status_code_conformance", "content_type_conformance",
          "response_headers_conformance", "response_schema_conformance", "ignored_auth"]

SPELLING = {"Vin": "^([ ._/*-]?[0-9A-HJ-NPR-Za-hj-npr-z]){17}$", "Plate": "^([ .-]?[0-9A-Za-z]){1,10}$"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gateway", default=Path(__file__).parent.parent / "target/debug/vingate")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        program = [arguments.gateway, "demo", "--listen", "127.0.0.1:0"]
        gateway = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            sys.exit(run(gateway.stdout, Path(folder), options))
        finally:
            gateway.terminate()
            gateway.wait()


def run(said, folder, options):
    """Tries the gateway that says this."""
    known = {}
    while "token" not in known:
        match next(said).split():
            case [("gateway" | "admin") as name, url]:
                known[name] = url
            case [word] if word.startswith("TOKEN="):
                known["token"] = word.removeprefix("TOKEN=")
    document = json.load(urllib.request.urlopen(known["admin"] + "/openapi.json"))
    for name, pattern in SPELLING.items():
        document["components"]["schemas"][name]["pattern"] = pattern
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "hooks.py").write_text(HOOKS)
    command = ["st", "run", "openapi.json", "--url", known["gateway"], "--checks", ",".join(CHECKS)]
    command += ["--header", "Authorization: Bearer " + known["token"], "--continue-on-failure"]
    command += options or ["--max-examples", "300"]
    return subprocess.run(command, cwd=folder, env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}).returncode


main()
