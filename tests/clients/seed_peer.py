"""A peer as the seed of the message protocol has it: one shared secret, `POST /message`, no ids.

seed_peer.py --secret TEXT --log FILE [--port N]    prints `listening on http://127.0.0.1:PORT`, serves until it is killed

POST /message     wants `X-Shared-Secret` and `{"type", "payload"}`; answers `{"status": "received"}`. A missing or wrong secret is
                  401, a missing type 400 `missing type`. What was taken or refused is one JSON line of FILE: head, body, answer.
POST /_answers    a list of `{"status", "headers", "body"}`: the next messages are answered so, one each
POST /_send       `{"url", "secret", "body"}`: posts a message to `url`/message, as this peer does it, and answers with what came back
Standard library only.
"""

from __future__ import annotations

import argparse
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE = 10.0


class Peer(ThreadingHTTPServer):
    """What all its connections share."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, secret: str, log: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.secret = secret
        self.log = log
        self.lock = threading.Lock()
        self.answers: list[dict] = []

    def note(self, **facts: object) -> None:
        with self.lock, self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"at": time.time(), **facts}) + "\n")

    def told_answer(self) -> dict | None:
        with self.lock:
            return self.answers.pop(0) if self.answers else None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Peer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        handler = {"/message": self.take, "/_answers": self.be_told, "/_send": self.send}.get(self.path)
        if handler is None:
            self.answer(404, {"error": "no such path"})
            return
        handler(raw)

    def take(self, raw: bytes) -> None:
        status, body = self.verdict(raw)
        told = self.server.told_answer()
        headers = {}
        if told is not None:
            status, headers, body = told["status"], told.get("headers", {}), told.get("body", {})
        head = {name.lower(): value for name, value in self.headers.items()}
        self.server.note(headers=head, raw=raw.decode("utf-8", errors="replace"), status=status)
        self.answer(status, body, headers)

    def verdict(self, raw: bytes) -> tuple[int, dict]:
        shown = self.headers.get("X-Shared-Secret", "")
        if not hmac.compare_digest(shown.encode(), self.server.secret.encode()):
            return 401, {"error": "unauthorized"}
        try:
            kind = json.loads(raw).get("type")
        except (ValueError, AttributeError):
            return 400, {"error": "invalid json"}
        if not kind:
            return 400, {"error": "missing type"}
        return 200, {"status": "received"}

    def be_told(self, raw: bytes) -> None:
        with self.server.lock:
            self.server.answers.extend(json.loads(raw))
        self.answer(200, {"ok": True})

    def send(self, raw: bytes) -> None:
        order = json.loads(raw)
        headers = {"Content-Type": "application/json", "X-Shared-Secret": order["secret"]}
        request = urllib.request.Request(f"{order['url']}/message", json.dumps(order["body"]).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as refused:
            status, text = refused.code, refused.read().decode()
        self.answer(200, {"status": status, "body": json.loads(text)})

    def answer(self, status: int, body: dict, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    options.log.touch()
    peer = Peer(options.port, options.secret, options.log)
    print(f"listening on http://127.0.0.1:{peer.server_address[1]}", flush=True)
    peer.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
