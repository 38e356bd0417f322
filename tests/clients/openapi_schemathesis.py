"""Schemathesis against a broker's own OpenAPI document.

openapi_schemathesis.py --url http://127.0.0.1:PORT --key KEY [--examples N] [--seconds N]

The cases are the same in every run. What is taken beyond the document (unknown fields, any JSON for the mailbox) is meant so, and what is refused within
it (an `id` of nobody, a limit in words) is tested elsewhere: neither is checked here. `/events` never ends: tested elsewhere too. What is checked: no 5xx but those that the document has for
the lack of something, no status, content type or body that the document does not have, no access without a key.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from common import check, main

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth", "unsupported_method",
)
GRACE_SECONDS = 15


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--examples", type=int, default=6, help="cases for each operation at most")
    parser.add_argument("--seconds", type=int, default=20, help="time for the whole run")
    arguments = parser.parse_args()
    schemathesis = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    # One worker: the parser of Python 3.11 may break where two threads use it at once.
    command = [
        schemathesis, "run", f"{arguments.url}/openapi.json", "--header", f"Authorization: Bearer {arguments.key}",
        "--phases", "coverage,fuzzing", "--generation-deterministic", "--checks", ",".join(CHECKS),
        "--max-examples", str(arguments.examples), "--max-time", str(arguments.seconds), "--request-timeout", "10",
        "--workers", "1", "--exclude-path", "/events", "--no-color", "--warnings", "off",
    ]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=arguments.seconds + GRACE_SECONDS, check=False,
        )
    check(ended.returncode == 0, f"schemathesis ended with {ended.returncode}\n{ended.stdout}")
    print(ended.stdout[-600:], flush=True)


main(program)
