"""A model that does as it is told: stands in for a vendor's API where an agent CLI is run without one.

mock_llm.py [--port N] [--key KEY]        prints `listening on http://127.0.0.1:PORT`, serves until it is killed

Speaks, whole and streamed, below any path prefix:
  …/responses                         OpenAI Responses      (codex)
  …/chat/completions                  OpenAI Chat           (opencode, qwen, copilot)
  …/messages                          Anthropic Messages    (claude)
  …/models/NAME:generateContent       Gemini                (gemini)

Marks in the last user message say what to do:
  [[say: words]]      answer with these words
  [[run: command]]    first call the client's shell tool with this command; several run one after the other
  [[run-told: word]]  the same with the shell block (```sh) of the prompt that holds this word, as it stands there
  [[slow: seconds]]   stream the answer word by word over so many seconds
  [[hold: name]]      answer only after POST /_release/name
  [[hang]]            never answer
  [[fail: status]]    answer with this HTTP status and an error of the vendor's shape
  [[cut]]             drop the connection in the middle of the streamed answer
Without `say` the answer is `users=N tools=N`, then ` last=` and the end of the last tool's output. N of `users` is the number of
user messages in the conversation: it grows from turn to turn of a session that is truly resumed.

GET /_calls lists the calls so far with their times in seconds (`ended` is null while one is under way).
Standard library only.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import re
import select
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKENS_READ, TOKENS_WRITTEN = 111, 22
SHELL_TOOLS = ("exec_command", "shell_command", "shell", "Bash", "bash", "run_shell_command")
LAST_OUTPUT = 400
POLL = 0.02
PAUSE = object()  # stands in a stream before each piece of text


@dataclass
class Ask:
    """What matters of a request."""

    model: str = "mock-model"
    streamed: bool = False
    users: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)  # since the last user message
    tools: dict[str, dict] = field(default_factory=dict)

    @property
    def last(self) -> str:
        return self.users[-1] if self.users else ""

    def add_user(self, text: str) -> None:
        if text:
            self.users.append(text)
            self.results = []


@dataclass
class Reply:
    """What is answered: words, or a call of a tool."""

    text: str = ""
    call: tuple[str, dict] | None = None

    def pieces(self) -> list[str]:
        return re.findall(r"\S+\s*|\s+", self.text) or [""]


def words_of(content: object) -> str:
    """The text in a message's content, which is text itself or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:20]


class Responses:
    """OpenAI Responses."""

    paths = ("/responses",)

    @staticmethod
    def read(body: dict, path: str) -> Ask:
        ask = Ask(body.get("model", "mock-model"), bool(body.get("stream")))
        items = body.get("input") or []
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            if item.get("role") == "user":
                ask.add_user(words_of(item.get("content")))
            elif item.get("type") == "function_call_output":
                ask.results.append(words_of(item.get("output")))
        ask.tools = {tool["name"]: tool.get("parameters") or {} for tool in body.get("tools") or [] if tool.get("type") == "function"}
        return ask

    @staticmethod
    def item(reply: Reply) -> dict:
        if reply.call:
            name, arguments = reply.call
            call = {"id": new_id("fc_"), "call_id": new_id("call_"), "name": name, "arguments": json.dumps(arguments)}
            return {"type": "function_call", "status": "completed", **call}
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        return {"type": "message", "id": new_id("msg_"), "role": "assistant", "status": "completed", "content": content}

    @classmethod
    def whole(cls, ask: Ask, reply: Reply) -> dict:
        usage = {
            "input_tokens": TOKENS_READ, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": TOKENS_WRITTEN,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": TOKENS_READ + TOKENS_WRITTEN,
        }
        head = {"id": new_id("resp_"), "object": "response", "created_at": int(time.time()), "model": ask.model}
        return {**head, "status": "completed", "output": [cls.item(reply)], "usage": usage}

    @classmethod
    def stream(cls, ask: Ask, reply: Reply):
        number = itertools.count()
        done = cls.whole(ask, reply)
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        item = done["output"][0]

        def event(kind: str, **fields: object):
            return kind, {"type": kind, "sequence_number": next(number), **fields}

        yield event("response.created", response=begun)
        if reply.call:
            yield event("response.output_item.added", output_index=0, item={**item, "status": "in_progress"})
        else:
            place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
            yield event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
            yield event("response.content_part.added", part={"type": "output_text", "text": "", "annotations": []}, **place)
            for piece in reply.pieces():
                yield PAUSE
                yield event("response.output_text.delta", delta=piece, **place)
            yield event("response.output_text.done", text=reply.text, **place)
            yield event("response.content_part.done", part=item["content"][0], **place)
        yield event("response.output_item.done", output_index=0, item=item)
        yield event("response.completed", response=done)

    @staticmethod
    def error(status: int, message: str) -> dict:
        return {"error": {"message": message, "type": "mock_error", "param": None, "code": f"mock_{status}"}}


class Chat:
    """OpenAI Chat Completions."""

    paths = ("/chat/completions",)
    usage = {"prompt_tokens": TOKENS_READ, "completion_tokens": TOKENS_WRITTEN, "total_tokens": TOKENS_READ + TOKENS_WRITTEN}
    error = Responses.error

    @staticmethod
    def read(body: dict, path: str) -> Ask:
        ask = Ask(body.get("model", "mock-model"), bool(body.get("stream")))
        for message in body.get("messages", []):
            if message.get("role") == "user":
                ask.add_user(words_of(message.get("content")))
            elif message.get("role") == "tool":
                ask.results.append(words_of(message.get("content")))
        functions = [tool["function"] for tool in body.get("tools") or [] if "function" in tool]
        ask.tools = {function["name"]: function.get("parameters") or {} for function in functions}
        return ask

    @staticmethod
    def calls(reply: Reply) -> list[dict]:
        name, arguments = reply.call
        return [{"index": 0, "id": new_id("call_"), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}]

    @classmethod
    def whole(cls, ask: Ask, reply: Reply) -> dict:
        message = {"role": "assistant", "content": None, "tool_calls": cls.calls(reply)} if reply.call else {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.call else "stop"}
        head = {"id": new_id("chatcmpl-"), "object": "chat.completion", "created": int(time.time()), "model": ask.model}
        return {**head, "choices": [choice], "usage": cls.usage}

    @classmethod
    def stream(cls, ask: Ask, reply: Reply):
        head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": int(time.time()), "model": ask.model}

        def chunk(delta: dict, finish: str | None = None):
            return None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        yield chunk({"role": "assistant", "content": ""})
        if reply.call:
            yield chunk({"tool_calls": cls.calls(reply)})
        else:
            for piece in reply.pieces():
                yield PAUSE
                yield chunk({"content": piece})
        yield chunk({}, "tool_calls" if reply.call else "stop")
        yield None, {**head, "choices": [], "usage": cls.usage}
        yield None, "[DONE]"


class Messages:
    """Anthropic Messages."""

    paths = ("/messages",)

    @staticmethod
    def read(body: dict, path: str) -> Ask:
        ask = Ask(body.get("model", "mock-model"), bool(body.get("stream")))
        for message in body.get("messages", []):
            if message.get("role") != "user":
                continue
            content = message.get("content")
            results = [part for part in content if part.get("type") == "tool_result"] if isinstance(content, list) else []
            if results:
                ask.results += [words_of(part.get("content")) for part in results]
            else:
                ask.add_user(words_of(content))
        ask.tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or []}
        return ask

    @staticmethod
    def whole(ask: Ask, reply: Reply) -> dict:
        if reply.call:
            block = {"type": "tool_use", "id": new_id("toolu_"), "name": reply.call[0], "input": reply.call[1]}
        else:
            block = {"type": "text", "text": reply.text}
        usage = {"input_tokens": TOKENS_READ, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": TOKENS_WRITTEN}
        end = {"stop_reason": "tool_use" if reply.call else "end_turn", "stop_sequence": None}
        return {"id": new_id("msg_"), "type": "message", "role": "assistant", "model": ask.model, "content": [block], "usage": usage, **end}

    @classmethod
    def stream(cls, ask: Ask, reply: Reply):
        whole = cls.whole(ask, reply)
        block = whole["content"][0]

        def event(kind: str, **fields: object):
            return kind, {"type": kind, **fields}

        yield event("message_start", message={**whole, "content": [], "stop_reason": None})
        if reply.call:
            yield event("content_block_start", index=0, content_block={**block, "input": {}})
            yield event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
        else:
            yield event("content_block_start", index=0, content_block={**block, "text": ""})
            for piece in reply.pieces():
                yield PAUSE
                yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield event("content_block_stop", index=0)
        yield event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None}, usage={"output_tokens": TOKENS_WRITTEN})
        yield event("message_stop")

    @staticmethod
    def error(status: int, message: str) -> dict:
        kind = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


class Gemini:
    """Gemini's generateContent."""

    paths = (":generateContent", ":streamGenerateContent")

    @staticmethod
    def read(body: dict, path: str) -> Ask:
        ask = Ask(re.sub(r".*/models/|:.*", "", path), ":stream" in path)
        for message in body.get("contents", []):
            parts = message.get("parts") or []
            results = [part["functionResponse"] for part in parts if "functionResponse" in part]
            if results:
                ask.results += [json.dumps(result.get("response")) for result in results]
            elif message.get("role", "user") == "user":
                for part in parts:  # the CLI puts user messages that follow each other into one
                    ask.add_user(words_of(part))
        functions = [function for tool in body.get("tools") or [] for function in tool.get("functionDeclarations") or []]
        ask.tools = {function["name"]: function.get("parametersJsonSchema") or function.get("parameters") or {} for function in functions}
        return ask

    @staticmethod
    def part(ask: Ask, parts: list[dict], finish: str | None) -> dict:
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **({"finishReason": finish} if finish else {})}
        usage = {"promptTokenCount": TOKENS_READ, "candidatesTokenCount": TOKENS_WRITTEN, "totalTokenCount": TOKENS_READ + TOKENS_WRITTEN}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": ask.model, "responseId": new_id("")}

    @classmethod
    def whole(cls, ask: Ask, reply: Reply) -> dict:
        call = reply.call and {"functionCall": {"name": reply.call[0], "args": reply.call[1]}}
        return cls.part(ask, [call or {"text": reply.text}], "STOP")

    @classmethod
    def stream(cls, ask: Ask, reply: Reply):
        if reply.call:
            yield None, cls.whole(ask, reply)
            return
        for piece in reply.pieces():
            yield PAUSE
            yield None, cls.part(ask, [{"text": piece}], None)
        yield None, cls.part(ask, [{"text": ""}], "STOP")

    @staticmethod
    def error(status: int, message: str) -> dict:
        name = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": name}}


DIALECTS = (Responses, Chat, Messages, Gemini)


def mark(name: str, text: str) -> str | None:
    """The value of the first mark of this name; empty for one without a value."""
    found = re.search(rf"\[\[{name}(?::\s*(.*?))?\]\]", text, re.DOTALL)
    return None if found is None else found.group(1) or ""


def shell_call(tools: dict[str, dict], command: str) -> tuple[str, dict]:
    """The call that runs `command` with the shell tool that the client offers."""
    name = next((name for name in SHELL_TOOLS if name in tools), None)
    if name is None:
        raise ValueError(f"the client offers no shell tool, only {', '.join(tools) or 'none'}")
    fields = tools[name].get("properties", {})
    key = next((key for key in ("cmd", "command") if key in fields), "command")
    arguments: dict = {key: ["bash", "-lc", command] if fields.get(key, {}).get("type") == "array" else command}
    for other in tools[name].get("required", []):
        kind = str(fields.get(other, {}).get("type", "string")).lower()
        arguments.setdefault(other, {"boolean": False, "integer": 60000, "number": 60000}.get(kind, "runs a command"))
    return name, arguments


def told_commands(prompt: str) -> list[str]:
    """The shell blocks of a prompt that hold the word of its mark."""
    word = mark("run-told", prompt)
    blocks = re.findall(r"^```sh\n(.*?)^```$", prompt, re.DOTALL | re.MULTILINE) if word is not None else []
    return [block for block in blocks if word in block]


def reply_to(ask: Ask) -> Reply:
    commands = re.findall(r"\[\[run:\s*(.*?)\]\]", ask.last, re.DOTALL) + told_commands(ask.last)
    if len(ask.results) < len(commands):
        try:
            return Reply(call=shell_call(ask.tools, commands[len(ask.results)]))
        except ValueError as problem:
            return Reply(str(problem))
    said = mark("say", ask.last)
    tail = f" last={ask.results[-1][-LAST_OUTPUT:]}" if ask.results else ""
    return Reply(said if said is not None else f"users={len(ask.users)} tools={len(ask.results)}{tail}")


class State:
    """What was asked, and which marks were released."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.lock = threading.Lock()
        self.calls: list[dict] = []
        self.released: set[str] = set()

    def begin(self, dialect: str, ask: Ask, reply: Reply) -> dict:
        call = {
            "dialect": dialect, "model": ask.model, "streamed": ask.streamed, "users": len(ask.users), "results": ask.results,
            "last": ask.last, "tools": sorted(ask.tools), "reply": reply.text, "call": reply.call, "began": time.monotonic(), "ended": None,
        }
        with self.lock:
            self.calls.append(call)
        return call


class ClientGone(ConnectionError):
    """The client has closed its connection."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send_json({})

    def do_GET(self) -> None:
        state, path = self.server.state, self.path.split("?")[0]
        if path == "/_calls":
            with state.lock:
                return self.send_json(state.calls)
        if path.endswith("/models"):
            return self.send_json({"object": "list", "models": [], "data": [{"id": "mock-model", "object": "model", "owned_by": "mock"}]})
        return self.send_json({"error": {"message": f"no {path} here"}}, 404)

    def do_POST(self) -> None:
        path, raw = self.path.split("?")[0], self.read_body()
        if path.startswith("/_release/"):
            self.server.state.released.add(path.removeprefix("/_release/"))
            return self.send_json({})
        if path.endswith(("/count_tokens", ":countTokens")):
            return self.send_json({"input_tokens": TOKENS_READ, "totalTokens": TOKENS_READ})
        dialect = next((dialect for dialect in DIALECTS if path.endswith(dialect.paths)), None)
        if dialect is None:
            return self.send_json({"error": {"message": f"no {path} here"}}, 404)
        return self.answer(dialect, dialect.read(json.loads(raw or b"{}"), path))

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def answer(self, dialect: type, ask: Ask) -> None:
        reply = reply_to(ask)
        call = self.server.state.begin(dialect.__name__, ask, reply)
        try:
            self.obey(dialect, ask, reply)
        except ConnectionError as gone:
            call["broken"] = str(gone) or type(gone).__name__
            self.close_connection = True
        finally:
            call["ended"] = time.monotonic()

    def obey(self, dialect: type, ask: Ask, reply: Reply) -> None:
        if self.server.state.key and not self.has_key():
            return self.send_json(dialect.error(401, "wrong key"), 401)
        if mark("hang", ask.last) is not None:
            self.wait_until(lambda: False)
        if (name := mark("hold", ask.last)) is not None:
            self.wait_until(lambda: name in self.server.state.released)
        if status := mark("fail", ask.last):
            return self.send_json(dialect.error(int(status), f"told to fail with {status}"), int(status))
        if not ask.streamed:
            return self.send_json(dialect.whole(ask, reply))
        return self.send_stream(dialect.stream(ask, reply), ask, reply)

    def has_key(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Bearer "), self.headers.get("x-api-key"), self.headers.get("x-goog-api-key")
        return self.server.state.key in given

    def wait_until(self, is_true) -> None:
        """Waits, and notices a client that goes away."""
        while not is_true():
            readable, _, _ = select.select([self.connection], [], [], POLL)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientGone("the client went away")

    def send_json(self, body: object, status: int = 200) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def send_stream(self, events, ask: Ask, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count, seconds = len(reply.pieces()), float(mark("slow", ask.last) or 0)
        pauses = itertools.count()
        for event in events:
            if event is PAUSE:
                if next(pauses) >= count // 2 and mark("cut", ask.last) is not None:
                    raise ClientGone("cut as told")
                until = time.monotonic() + seconds / count
                self.wait_until(lambda: time.monotonic() >= until)
                continue
            name, data = event
            text = (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    state: State


def serve() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="calls with another key get 401")
    arguments = parser.parse_args()
    server = Server(("127.0.0.1", arguments.port), Handler)
    server.state = State(arguments.key)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    serve()
