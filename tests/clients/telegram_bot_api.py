"""A stand-in for the Telegram Bot API: hands out one private message by long polling, and remembers what the bot sends."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BOT_TOKEN = "700001:stand-in-token"
POLL_SECONDS = 2.0


class BotApi:
    """The state of the bot: updates that wait, messages it sent, methods it called."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.updates: list[dict] = []
        self.sent: list[dict] = []
        self.calls: list[str] = []

    def private_message(self, sender: int, words: str) -> None:
        person = {"id": sender, "is_bot": False, "first_name": "Nora", "last_name": "Field", "username": "nora_field", "language_code": "en"}
        chat = {"id": sender, "type": "private", "first_name": "Nora", "last_name": "Field", "username": "nora_field"}
        with self.changed:
            number = len(self.updates) + 1
            message = {"message_id": 10 + number, "from": person, "chat": chat, "date": int(time.time()), "text": words}
            self.updates.append({"update_id": 500 + number, "message": message})
            self.changed.notify_all()

    def call(self, method: str, arguments: dict):
        with self.changed:
            self.calls.append(method)
        if method == "getMe":
            return {"id": 700001, "is_bot": True, "first_name": "Postbot", "username": "postbot_bot", "can_join_groups": True}
        if method == "getUpdates":
            return self._poll(int(arguments.get("offset") or 0))
        if method == "getMyCommands":
            return []
        if method == "getWebhookInfo":
            return {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        if method in ("sendMessage", "editMessageText"):
            with self.changed:
                self.sent.append(arguments)
                number = 900 + len(self.sent)
            chat = {"id": int(arguments.get("chat_id") or 0), "type": "private"}
            return {"message_id": number, "date": int(time.time()), "chat": chat, "text": str(arguments.get("text", ""))}
        return True

    def _poll(self, offset: int) -> list[dict]:
        deadline = time.monotonic() + POLL_SECONDS
        with self.changed:
            while True:
                waiting = [update for update in self.updates if update["update_id"] >= offset]
                left = deadline - time.monotonic()
                if waiting or left <= 0:
                    return waiting
                self.changed.wait(left)


def _arguments(handler: BaseHTTPRequestHandler) -> dict:
    arguments = {name: values[-1] for name, values in parse_qs(urlsplit(handler.path).query).items()}
    raw = handler.rfile.read(int(handler.headers.get("content-length") or 0))
    kind = handler.headers.get("content-type", "")
    with contextlib.suppress(ValueError):
        if "json" in kind and raw:
            arguments.update(json.loads(raw))
        elif "urlencoded" in kind:
            arguments.update({name: values[-1] for name, values in parse_qs(raw.decode()).items()})
    return arguments


@contextlib.contextmanager
def bot_api():
    """Serves a fresh `BotApi` on loopback; yields (its base URL, the state)."""
    state = BotApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            method = urlsplit(self.path).path.rsplit("/", 1)[-1]
            body = json.dumps({"ok": True, "result": state.call(method, _arguments(self))}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
