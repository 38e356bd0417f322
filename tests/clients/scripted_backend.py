"""A backend model whose answer is chosen by the request's field `scene`; it remembers what it was asked.

Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = {
    "object": "list",
    "data": [
        {"id": "tide-small", "object": "model", "created": 1700000001, "owned_by": "tides"},
        {"id": "tides/large", "object": "model", "created": 1700000002, "owned_by": "tides"},
    ],
}


def completion(content, **message) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return {"id": "chatcmpl-tide", "object": "chat.completion", "created": 1700000003, "model": "tide-small", "choices": [choice], "usage": usage}


def chunks(*words: str) -> bytes:
    lines = []
    for number, word in enumerate(words):
        delta = {"role": "assistant", "content": word} if number == 0 else {"content": word}
        lines.append({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    lines.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    head = {"id": "chatcmpl-tide", "object": "chat.completion.chunk", "created": 1700000003, "model": "tide-small"}
    events = [f"data: {json.dumps({**head, **line}, ensure_ascii=False)}\n\n" for line in lines]
    return ("".join(events) + "data: [DONE]\n\n").encode()


def as_json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


TOOL_CALL = [{"id": "call_1", "type": "function", "function": {"name": "tide_table", "arguments": "{}"}}]
STREAM_TEXT = "High water at nine – mind the ramp 🌊"
JSON = "application/json"

# scene: (status, content type, body)
SCENES: dict[str, tuple[int, str, bytes]] = {
    "": (200, JSON, as_json(completion("The ferry leaves at ten."))),
    "unicode": (200, JSON, as_json(completion("Grüße vom Kai 🚢\n\t“ende”"))),
    "charset": (200, "application/json; charset=utf-8", as_json(completion("With a charset."))),
    "created": (201, JSON, as_json(completion("Made."))),
    "empty": (200, JSON, as_json(completion(""))),
    "null": (200, JSON, as_json(completion(None, tool_calls=TOOL_CALL))),
    "parts": (200, JSON, as_json(completion([{"type": "text", "text": "in parts"}]))),
    "no-choices": (200, JSON, as_json({"object": "chat.completion", "choices": []})),
    "two-choices": (
        200, JSON, as_json({**completion("first"), "choices": completion("first")["choices"] + completion("second")["choices"]}),
    ),
    "not-json": (200, JSON, b'{"choices": [{"message"'),
    "html": (200, "text/html", b"<html><body>sign in first</body></html>"),
    "stream": (200, "text/event-stream", chunks("High water ", "at nine – ", "mind the ramp 🌊")),
    "400": (400, JSON, as_json({"error": {"message": "no such tide", "type": "invalid_request_error"}})),
    "401": (401, JSON, as_json({"error": {"message": "who are you", "type": "authentication_error"}})),
    "404": (404, JSON, as_json({"error": {"message": "gone out"}})),
    "500": (500, JSON, as_json({"error": {"message": "engine room flooded"}})),
    "500-html": (500, "text/html", b"<h1>engine room flooded</h1>"),
}


class Backend:
    """What the backend was asked, in order of arrival."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: list[dict] = []

    def take(self) -> list[dict]:
        """The requests since the last call."""
        with self.lock:
            taken, self.asked = self.asked, []
        return taken


@contextlib.contextmanager
def scripted_backend():
    """Serves on loopback; yields (its base URL with `/v1`, the `Backend`)."""
    state = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path.split("?")[0] == "/v1/models":
                self.answer(200, JSON, as_json(MODELS))
            else:
                self.answer(404, JSON, b"{}")

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                body = json.loads(raw)
            except ValueError:
                body = {"not json": raw.decode("utf-8", errors="replace")}
            with state.lock:
                state.asked.append({"path": self.path, "authorization": self.headers.get("authorization"), "body": body})
            scene = str(body.get("scene", "")) if isinstance(body, dict) else ""
            self.answer(*SCENES[scene if scene in SCENES else ""])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
