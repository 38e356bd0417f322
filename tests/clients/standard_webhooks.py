"""The Standard Webhooks package of PyPI against a broker's signatures.

standard_webhooks.py verify --log FILE --signing-secret whsec_… [--signing-secret …]
    Every message in the log of `seed_peer.py` must verify with each of these secrets, and with no other; changed in any part it
    must not. Prints how many there were.
standard_webhooks.py send --url URL --secret TEXT --signing-secret whsec_… SECTION…
    Posts messages to `URL`/message: `signed`, `tampered` (body, id, signature), `old`, `early`, `unsigned`, `unsigned-is-taken`.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import os
import time
import uuid
from pathlib import Path

from common import CheckFailed, check, check_equal, http_request, main
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
MINUTE = 60


def verifies(secret: str, raw: str, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(raw, headers)
    except WebhookVerificationError:
        return False
    return True


def another_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(24)).decode()


def verify_one(entry: dict, secrets: list[str]) -> None:
    raw, headers = entry["raw"], {name: entry["headers"].get(name, "") for name in NAMES}
    for secret in secrets:
        check(verifies(secret, raw, headers), f"does not verify: {entry}")
    check_equal(headers["webhook-id"], entry["headers"].get("idempotency-key"), "webhook-id is the idempotency key")
    check(not verifies(another_secret(), raw, headers), "verifies with any secret")
    check(not verifies(secrets[0], raw + " ", headers), "verifies with another body")
    for name, other in (("webhook-id", headers["webhook-id"] + "x"), ("webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1))):
        check(not verifies(secrets[0], raw, {**headers, name: other}), f"verifies with another {name}")


def verify(options: argparse.Namespace) -> None:
    entries = [json.loads(line) for line in options.log.read_text(encoding="utf-8").splitlines()]
    check(entries, "the log holds no message")
    for entry in entries:
        verify_one(entry, options.signing_secret)
    print(f"verified {len(entries)}", flush=True)


class Sender:
    """Signs messages and posts them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def signed(self, seconds: int = 0) -> tuple[dict[str, str], str]:
        """A message of its own and its headers, as of so many seconds from now; signed with each secret."""
        name = str(uuid.uuid4())
        body = json.dumps({"type": "TASK", "payload": {"text": f"signed {name}, Grüße"}}, ensure_ascii=False)
        at = int(time.time()) + seconds
        moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
        signatures = [Webhook(secret).sign(msg_id=name, timestamp=moment, data=body) for secret in self.options.signing_secret]
        return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": " ".join(signatures)}, body

    def post(self, headers: dict[str, str], body: str, status: int, what: str) -> dict:
        always = {"Content-Type": "application/json", "X-Shared-Secret": self.options.secret}
        answer = http_request(self.options.url, "POST", "/message", {**always, **headers}, body.encode())
        check_equal(answer.status, status, f"{what}: {answer}")
        return json.loads(answer.body)

    def is_signed(self) -> None:
        headers, body = self.signed()
        check_equal(self.post(headers, body, 200, "signed")["status"], "received", "status")
        headers, body = self.signed()
        worthless = "v1,AAAA v1a,AAAA v2,AAAA"
        both = {**headers, "webhook-signature": f"{worthless} {headers['webhook-signature']}"}
        self.post(both, body, 200, "one signature of several")
        headers, body = self.signed(-4 * MINUTE)
        self.post(headers, body, 200, "4 minutes old")

    def is_tampered(self) -> None:
        headers, body = self.signed()
        self.post(headers, body.replace("signed", "Signed"), 401, "another body")
        self.post({**headers, "webhook-id": str(uuid.uuid4())}, body, 401, "another id")
        self.post({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, body, 401, "another timestamp")
        for signature in ("v1,AAAA", "v1a," + headers["webhook-signature"].split(",")[1], "nonsense", ""):
            self.post({**headers, "webhook-signature": signature}, body, 401, f"signature {signature!r}")
        wrong = Webhook(another_secret()).sign(headers["webhook-id"], datetime.datetime.now(tz=datetime.timezone.utc), body)
        self.post({**headers, "webhook-signature": wrong}, body, 401, "a secret of somebody else")

    def is_old(self) -> None:
        headers, body = self.signed(-6 * MINUTE)
        self.post(headers, body, 401, "6 minutes old")

    def is_early(self) -> None:
        headers, body = self.signed(6 * MINUTE)
        self.post(headers, body, 401, "6 minutes early")

    def is_unsigned(self, status: int = 401) -> None:
        self.post({}, self.signed()[1], status, "unsigned")

    def run(self, section: str) -> None:
        sections = {
            "signed": self.is_signed, "tampered": self.is_tampered, "old": self.is_old, "early": self.is_early,
            "unsigned": self.is_unsigned, "unsigned-is-taken": lambda: self.is_unsigned(200),
        }
        check(section in sections, f"no section `{section}`; there are {', '.join(sections)}")
        try:
            sections[section]()
        except CheckFailed as failure:
            raise CheckFailed(f"{section}: {failure}") from None
        print(f"ok: {section}", flush=True)


def send(options: argparse.Namespace) -> None:
    sender = Sender(options)
    for section in options.sections:
        sender.run(section)


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verifier = verbs.add_parser("verify")
    verifier.add_argument("--log", type=Path, required=True)
    verifier.add_argument("--signing-secret", action="append", required=True)
    verifier.set_defaults(run=verify)
    sender = verbs.add_parser("send")
    sender.add_argument("--url", required=True)
    sender.add_argument("--secret", required=True)
    sender.add_argument("--signing-secret", action="append", required=True)
    sender.add_argument("sections", nargs="+")
    sender.set_defaults(run=send)
    options = parser.parse_args()
    options.run(options)


main(program)
