"""The requests of the differential test: a table, nothing else. Every word in it is invented.

A `Case` names the differences that are wanted for it (see `differential_rules.py`); all others must not be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

KEY = "quay-key"
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Case:
    """One request, sent to both programs."""

    name: str
    method: str = "POST"
    path: str = CHAT
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()


def chat(name: str, body: object, *rules: str, headers: dict[str, str] | None = None, authorized: bool = True) -> Case:
    sent = {"content-type": "application/json"}
    if authorized:
        sent["authorization"] = f"Bearer {KEY}"
    return Case(name, body=json.dumps(body, ensure_ascii=False).encode(), headers={**sent, **(headers or {})}, rules=rules)


def raw(name: str, body: bytes, *rules: str, content_type: str | None = "application/json") -> Case:
    headers = {"authorization": f"Bearer {KEY}"}
    if content_type is not None:
        headers["content-type"] = content_type
    return Case(name, body=body, headers=headers, rules=rules)


def call(name: str, method: str, path: str, *rules: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Case:
    return Case(name, method, path, body, {"authorization": f"Bearer {KEY}"} if headers is None else headers, rules)


def user(content: object) -> dict:
    return {"role": "user", "content": content}


def system(content: object) -> dict:
    return {"role": "system", "content": content}


def assistant(content: object) -> dict:
    return {"role": "assistant", "content": content}


def talk(*messages: object, **fields: object) -> dict:
    return {"model": "local-agent", "messages": list(messages), **fields}


def fenced(block: object, words: str = "Is the lock open?") -> str:
    text = block if isinstance(block, str) else json.dumps(block, ensure_ascii=False)
    return f"Sender data (untrusted):\n```json\n{text}\n```\n\n{words}"


def runtime(channel: str) -> dict:
    return system(f"You keep the harbour log.\nRuntime: agent=lock | host=quay | channel={channel} | thinking=off")


def plain() -> list[Case]:
    """Shapes of bodies without any context."""
    return [
        chat("one user message", talk(user("Which berth is free?"))),
        chat("no user message", talk(system("Only rules here."))),
        chat("no messages", {"model": "local-agent"}),
        chat("empty object", {}),
        chat("messages null", {"messages": None}),
        chat("messages a string", {"messages": "Ahoy"}),
        chat("messages an object", {"messages": {"role": "user", "content": "Ahoy"}}),
        chat("messages of odd types", {"messages": [1, None, "Ahoy", [], True, user("Found me")]}),
        chat("role of an odd type", {"messages": [{"role": 7, "content": "x"}, {"role": ["user"], "content": "y"}, {"content": "z"}]}),
        chat("role in upper case", {"messages": [{"role": "USER", "content": "Loud"}]}),
        chat("user message without content", {"messages": [user("Earlier words"), {"role": "user"}]}),
        chat("content null", talk(user("Earlier words"), user(None))),
        chat("content a number", talk(user("Earlier words"), user(12))),
        chat("content an object", talk(user("Earlier words"), user({"type": "text", "text": "Inside"}))),
        chat("content empty", talk(user("Earlier words"), user(""))),
        chat("content blank", talk(user("Earlier words"), user("  \n"))),
        chat("content in parts", talk(user([{"type": "text", "text": "First line"}, {"type": "text", "text": "Second line"}]))),
        chat("parts with a picture", talk(user([{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "What is this?"}]))),
        chat("parts without text", talk(user("Earlier words"), user([{"type": "image_url", "image_url": {"url": "data:,"}}]))),
        chat("parts of odd types", talk(user([1, None, "loose", {"type": "text", "text": 5}, {"type": "text"}, {"type": "text", "text": "Sound part"}]))),
        chat("parts with empty text", talk(user([{"type": "text", "text": ""}, {"type": "text", "text": "After the gap"}]))),
        chat("parts empty", talk(user("Earlier words"), user([]))),
        chat("input_text parts", talk(user("Earlier words"), user([{"type": "input_text", "text": "Another API"}]))),
        chat("several turns", talk(system("Rules."), user("One?"), assistant("One."), user("Two?"), assistant("Two."))),
        chat("tool turn", talk(user("Look it up"), {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "tool_call_id": "a", "content": "42"})),
        chat("unicode", talk(user("Größe? 船はどこ 🚢 \u2028 e\u0301 \u0000 \u001f \u007f ￿"))),
        chat("escapes", talk(user('"quoted" \\ / \b \f \n \r \t'))),
        chat("keys that need sorting", {"zeta": 1, "Alpha": 2, "éclair": 3, "_": 4, "10": 5, "9": 6, "": 7, "🚢": 8, "￿": 9, "messages": [user("sorted")]}),
        chat("empty containers", {"a": [], "b": {}, "c": [[]], "d": [{}], "messages": [user("hollow")]}),
        chat("own inbox keys", {"latest-user-prompt": "set by the client", "backend-llm-reply": "also", "messages": []}),
        chat("own prompt key overridden", {"latest-user-prompt": "set by the client", "messages": [user("the real words")]}),
        chat("sampling fields", talk(user("Warm?"), temperature=0.2, top_p=1, n=1, stop=["x"], max_tokens=5, seed=-3)),
        chat("values out of range", talk(user("Hot?"), temperature=99, n=0, max_tokens=-1)),
        chat("unknown fields", talk(user("Extra?"), cargo={"tons": 12, "hold": ["a", None, True]})),
        chat("model of another name", {"model": "some/other-model", "messages": [user("Who are you?")]}),
        chat("model a number", {"model": 5, "messages": [user("Who are you?")]}),
        chat("long text", talk(user("rope " * 30000))),
        raw("number spellings", b'{"messages":[{"role":"user","content":"count"}],"a":1E5,"b":-0,"c":1.50,"d":12345678901234567890123,"e":0.1}', "number-spelling"),
        raw("twice the same key", b'{"messages":[],"a":1,"a":2,"messages":[{"role":"user","content":"the later one"}]}'),
        raw("white space around", b' \r\n\t{"messages": [{"role":"user","content":"roomy"}]} \n'),
        raw("escaped unicode", b'{"messages":[{"role":"user","content":"\\u00fcber \\ud83d\\udea2 \\u0041"}]}'),
        raw("escaped slash", b'{"messages":[{"role":"user","content":"a\\/b"}]}'),
    ]


def bodies() -> list[Case]:
    """Bodies that are no objects, or no JSON, and their content types."""
    good = b'{"messages":[{"role":"user","content":"typed"}]}'
    return [
        raw("array", b'[1, {"b": 2, "a": 1}]'),
        raw("string", b'"just words"'),
        raw("number", b"17"),
        raw("true", b"true"),
        raw("null", b"null"),
        raw("empty array", b"[]"),
        raw("empty body", b"", "bad-json"),
        raw("blank body", b"   ", "bad-json"),
        raw("cut JSON", b'{"messages": [', "bad-json"),
        raw("single quotes", b"{'messages': []}", "bad-json"),
        raw("trailing comma", b'{"messages": [],}', "bad-json"),
        raw("two values", b"{} {}", "bad-json"),
        raw("bare words", b"ahoy there", "bad-json"),
        raw("control character in a string", b'{"a": "x\ny"}', "bad-json"),
        raw("broken UTF-8", b'{"a": "\xff\xfe"}', "bad-json"),
        raw("form data", b"model=local-agent&messages=none", "bad-json", content_type="application/x-www-form-urlencoded"),
        raw("NaN", b'{"messages":[], "a": NaN}', "stricter-json"),
        raw("lone surrogate", b'{"messages":[{"role":"user","content":"\\ud83d"}]}', "stricter-json"),
        raw("byte order mark", b"\xef\xbb\xbf" + good, "stricter-json"),
        raw("UTF-16", good.decode().encode("utf-16"), "stricter-json"),
        raw("no content type", good, content_type=None),
        raw("text/plain", good, content_type="text/plain"),
        raw("content type of nonsense", good, content_type="a boat"),
        raw("form content type with JSON", good, content_type="application/x-www-form-urlencoded"),
        raw("charset", good, content_type="application/json; charset=utf-8"),
    ]


def context_fields() -> list[Case]:
    """Channel and target from the body's fields."""
    channels = ["channel", "context_id", "thread_id", "thread", "conversation_id", "chat_id"]
    targets = ["target", "user_id", "recipient", "to"]
    cases = [chat(f"channel from {name}", talk(user("Tide?"), **{name: f"c-{name}"})) for name in channels]
    cases += [chat(f"target from {name}", talk(user("Tide?"), channel="pier", **{name: f"t-{name}"})) for name in targets]
    cases += [
        chat("all channels", talk(user("Tide?"), **{name: f"all-{name}" for name in channels})),
        chat("all targets", talk(user("Tide?"), channel="all", **{name: f"all-{name}" for name in targets})),
        chat("target without a channel", talk(user("Tide?"), target="nobody")),
        chat("first channel blank", talk(user("Tide?"), channel="  ", context_id="\t", thread_id="third")),
        chat("first target blank", talk(user("Tide?"), channel="pier", target="", user_id=" \n", to="fourth")),
        chat("channel of odd types", talk(user("Tide?"), channel=5, context_id=None, thread_id=["x"], thread={"a": 1}, chat_id="sixth")),
        chat("target of odd types", talk(user("Tide?"), channel="odd", target=5, user_id=False, recipient={}, to="last")),
        chat("trimmed", talk(user("Tide?"), channel="  west \n", target="\tmole ")),
        chat("trimmed of wide spaces", talk(user("Tide?"), channel="\u00a0tea\u2003", target="\u3000cup\u0085")),
        chat("trimmed of separators", talk(user("Tide?"), channel="\u001csplit\u001f", target="\u001dmast\u001e")),
        chat("zero width stays", talk(user("Tide?"), channel="\u200bthin", target="\ufeffwide")),
        chat("inner spaces stay", talk(user("Tide?"), channel="north pier", target="crane  2")),
        chat("colon inside", talk(user("Tide?"), channel="a:b", target="c:d")),
        chat("like a path", talk(user("Tide?"), channel="../../etc", target="/quay/..")),
        chat("unicode", talk(user("Tide?"), channel="渡し船", target="Ωmega🚢")),
        chat("quotes and line breaks", talk(user("Tide?"), channel='a"b\\c', target="d\ne")),
        chat("very long", talk(user("Tide?"), channel="l" * 3000, target="m" * 3000)),
        chat("context id without a user message", {"channel": "mute", "messages": []}),
        chat("context id without messages", {"channel": "mute-too", "note": "first"}),
    ]
    return cases


def context_text() -> list[Case]:
    """Channel from the system message, target from fenced blocks, as older OpenClaw releases wrote them."""
    keys = ["sender_id", "id", "e164", "target", "user_id", "recipient", "to"]
    cases = [chat(f"target from a block's {key}", talk(runtime("lamp"), user(fenced({key: f"b-{key}", "label": "x"})))) for key in keys]
    cases += [
        chat("channel only", talk(runtime("buoy"), user("No block here."))),
        chat("all keys in one block", talk(runtime("lamp"), user(fenced({key: f"any-{key}" for key in reversed(keys)})))),
        chat("block without a channel", talk(system("No runtime."), user(fenced({"sender_id": "7"})))),
        chat("channel at the end", talk(system("Runtime: agent=a | channel=stern"), user("Words"))),
        chat("channel directly before a bar", talk(system("x |channel=bow|y"), user("Words"))),
        chat("channel after spaces", talk(system("x |   channel=keel rest"), user("Words"))),
        chat("channel after a line break", talk(system("x |\nchannel=mast"), user("Words"))),
        chat("channel without a bar", talk(system("channel=loose"), user("Words"))),
        chat("channel in upper case", talk(system("x | Channel=LOUD"), user("Words"))),
        chat("channel empty", talk(system("x | channel= | y"), user("Words"))),
        chat("channel with odd letters", talk(system("x | channel=a/b:c-d_é🚢"), user("Words"))),
        chat("two channels in one message", talk(system("x | channel=one | channel=two"), user("Words"))),
        chat("second system message", talk(system("Nothing."), runtime("second"), user("Words"))),
        chat("system message in parts", talk(system([{"type": "text", "text": "x | channel=parts"}]), user("Words"))),
        chat("channel in a user message", talk(user("x | channel=spoof"))),
        chat("channel in a developer message", talk({"role": "developer", "content": "x | channel=dev"}, user("Words"))),
        chat("field before text", talk(runtime("text"), user(fenced({"id": "from-text"})), channel="field")),
        chat("target field before block", talk(runtime("text2"), user(fenced({"id": "from-text"})), target="field")),
        chat("newest block wins", talk(runtime("deck"), user(fenced({"id": "old"})), assistant("Yes."), user(fenced({"id": "new"})))),
        chat("older block counts", talk(runtime("deck"), user(fenced({"id": "older"})), assistant("Yes."), user("Thanks."))),
        chat("block of the assistant", talk(runtime("deck"), assistant(fenced({"id": "mine"})), user("Thanks."))),
        chat("two blocks in one message", talk(runtime("hull"), user(fenced({"label": "none"}) + "\n" + fenced({"id": "second"})))),
        chat("broken block, then a good one", talk(runtime("hull"), user(fenced('{"id": }') + "\n" + fenced({"id": "good"})))),
        chat("block that never ends", talk(runtime("hull"), user('```json\n{"id": "endless"}'))),
        chat("block with a nested object", talk(runtime("hull"), user(fenced({"meta": {"id": "inner"}, "id": "outer"})))),
        chat("block with only a nested id", talk(runtime("hull"), user(fenced({"sender": {"id": "inner"}})))),
        chat("block with text after the brace", talk(runtime("hull"), user('```json\n{"id": "a"} and more\n```\n```json\n{"id": "b"}\n```'))),
        chat("block that is an array", talk(runtime("hull"), user(fenced([{"id": "listed"}])))),
        chat("block in one line", talk(runtime("hull"), user('```json{"id":"tight"}```'))),
        chat("block with spaces", talk(runtime("hull"), user('```json  \n\n  {"id":"airy"}  \n\n ```'))),
        chat("block marked JSON", talk(runtime("hull"), user('```JSON\n{"id":"shout"}\n```'))),
        chat("block without a mark", talk(runtime("hull"), user('```\n{"id":"bare"}\n```'))),
        chat("block marked jsonc", talk(runtime("hull"), user('```jsonc\n{"id":"c"}\n```'))),
        chat("id a number", talk(runtime("hull"), user(fenced({"sender_id": 42, "id": "text-wins"})))),
        chat("ids blank", talk(runtime("hull"), user(fenced({"sender_id": " ", "id": "", "e164": "+15550100"})))),
        chat("ids trimmed", talk(runtime("hull"), user(fenced({"id": "  padded "})))),
        chat("fence inside a value", talk(runtime("hull"), user(fenced({"note": "use ``` here", "id": "fence"})))),
        chat("block in parts", talk(runtime("hull"), user([{"type": "text", "text": fenced({"id": "part"})}, {"type": "text", "text": "Tail"}]))),
        chat("block across parts", talk(runtime("hull"), user([{"type": "text", "text": '```json\n{"id":'}, {"type": "text", "text": '"split"}\n```'}]))),
        chat("block with unicode", talk(runtime("hull"), user(fenced({"id": "Ωλ🚢"})))),
        chat("block over lines", talk(runtime("hull"), user(fenced('{\n  "label": "x",\n  "id": "lines"\n}')))),
        chat("block with Windows line ends", talk(runtime("hull"), user('```json\r\n{"id":"crlf"}\r\n```\r\nWords'))),
    ]
    return cases


def repeats() -> list[Case]:
    """The same context again: what is written then."""
    return [
        chat("first of a context", talk(system("Rules."), user("First words"), channel="loop", target="ann", extra=1)),
        chat("second of it", talk(system("Rules."), user("Second words"), channel="loop", target="ann", extra=2)),
        chat("second found otherwise", talk(runtime("loop"), user(fenced({"id": "ann"}, "Third words")))),
        chat("second in a stream", talk(user("Fourth words"), channel="loop", target="ann", stream=True)),
        chat("second without a prompt", {"channel": "loop", "target": "ann", "messages": [], "extra": 3}),
        chat("second with own keys", {"channel": "loop", "target": "ann", "latest-user-prompt": "set by the client"}),
        chat("another target", talk(user("First of Bob"), channel="loop", target="bob")),
        chat("channel alone", talk(user("First of all"), channel="loop")),
        chat("channel that reads alike", talk(user("Same id, other way"), channel="loop:ann")),
        chat("letter case counts", talk(user("Upper"), channel="LOOP", target="ann")),
    ]


def streams() -> list[Case]:
    return [
        chat("stream", talk(user("Pour"), stream=True)),
        chat("stream false", talk(user("Pour"), stream=False)),
        chat("stream null", talk(user("Pour"), stream=None)),
        chat("stream with usage", talk(user("Pour"), stream=True, stream_options={"include_usage": True}), "stream-usage"),
        chat("stream without usage", talk(user("Pour"), stream=True, stream_options={"include_usage": False})),
        chat("stream 1", talk(user("Pour"), stream=1), "stream-not-boolean"),
        chat("stream a word", talk(user("Pour"), stream="false"), "stream-not-boolean"),
        chat("accept an event stream only", talk(user("Pour")), headers={"accept": "text/event-stream"}),
        chat("stream with a context", talk(user("Pour"), stream=True, channel="spring", target="well")),
    ]


def doors() -> list[Case]:
    """Keys, paths, methods and models."""
    hello = talk(user("Let me in"))
    return [
        chat("no key", hello, authorized=False),
        chat("wrong key", hello, headers={"authorization": "Bearer wrong"}),
        chat("key with more", hello, headers={"authorization": f"Bearer {KEY}x"}),
        chat("key cut short", hello, headers={"authorization": f"Bearer {KEY[:-1]}"}),
        chat("other scheme", hello, headers={"authorization": f"Basic {KEY}"}),
        chat("key without a scheme", hello, headers={"authorization": KEY}),
        chat("empty credentials", hello, headers={"authorization": ""}),
        chat("scheme in lower case", hello, "scheme-in-any-case", headers={"authorization": f"bearer {KEY}"}),
        Case("bad JSON without a key", body=b"{", headers={"content-type": "application/json"}),
        call("models", "GET", "/v1/models"),
        call("models with a query", "GET", "/v1/models?limit=1"),
        call("one model", "GET", "/v1/models/local-agent"),
        call("no such model", "GET", "/v1/models/rowing-boat", "model-not-found"),
        call("models without a key", "GET", "/v1/models", headers={}),
        call("one model, wrong key", "GET", "/v1/models/local-agent", headers={"authorization": "Bearer wrong"}),
        call("unknown path", "GET", "/v1/lighthouse", "unknown-path"),
        call("unknown path, POST", "POST", "/v1/lighthouse", "unknown-path", body=b"{}"),
        call("root", "GET", "/", "dashboard"),
        call("chat with a slash behind", "POST", CHAT + "/", "unknown-path", body=b"{}"),
        call("unknown path without a key", "GET", "/v1/lighthouse", headers={}),
        call("GET on chat", "GET", CHAT, "wrong-method"),
        call("PUT on chat", "PUT", CHAT, "wrong-method", body=b"{}"),
        call("DELETE on models", "DELETE", "/v1/models", "wrong-method"),
        call("DELETE on chat without a key", "DELETE", CHAT, headers={}),
        Case("chat with a query", path=CHAT + "?trace=1", body=b'{"messages":[]}', headers={"authorization": f"Bearer {KEY}"}),
    ]


def with_backend() -> list[Case]:
    """Relayed requests; the field `scene` chooses the backend's answer."""
    return [
        chat("relay", talk(user("When does it leave?"))),
        chat("relay keeps the client's fields", talk(system("Rules."), user("When?"), temperature=0.3, tools=[], metadata={"a": "b"})),
        chat("relay with a context", talk(user("When?"), channel="line", target="one")),
        chat("relay with it again", talk(user("And back?"), channel="line", target="one")),
        chat("relay, reply with unicode", talk(user("Greet"), scene="unicode")),
        chat("relay, charset", talk(user("Greet"), scene="charset")),
        chat("relay, status 201", talk(user("Make"), scene="created")),
        chat("relay, null content", talk(user("Look up"), scene="null")),
        chat("relay, content in parts", talk(user("Parts"), scene="parts"), "reply-in-parts"),
        chat("relay, no choices", talk(user("Choose"), scene="no-choices"), "backend-nonsense"),
        chat("relay, two choices", talk(user("Choose"), scene="two-choices")),
        chat("relay, empty reply", talk(user("Say nothing"), scene="empty"), "empty-reply"),
        chat("relay, cut JSON", talk(user("Break"), scene="not-json"), "backend-nonsense"),
        chat("relay, a web page", talk(user("Log in"), scene="html"), "backend-nonsense"),
        chat("relay, stream", talk(user("Flow"), stream=True, scene="stream"), "streamed-reply"),
        chat("relay, stream with a context", talk(user("Flow"), stream=True, scene="stream", channel="flow"), "streamed-reply"),
        chat("relay, stream, again", talk(user("Flow on"), stream=True, scene="stream", channel="flow"), "streamed-reply"),
        chat("relay, JSON for a stream", talk(user("Flow"), stream=True)),
        chat("relay without messages", {"model": "local-agent", "note": "empty"}),
        raw("relay, array", b'[{"role": "user"}]', "not-an-object-upstream"),
        raw("relay, bad JSON", b"{", "bad-json"),
        chat("relay, no key", talk(user("Let me in")), authorized=False),
        call("backend's models", "GET", "/v1/models"),
        call("backend's model", "GET", "/v1/models/tide-small"),
        call("backend's model with a slash", "GET", "/v1/models/tides/large", "model-with-slash"),
        call("backend's model with a coded slash", "GET", "/v1/models/tides%2Flarge", "model-with-slash"),
        call("local model beside a backend", "GET", "/v1/models/local-agent"),
        call("no such model beside a backend", "GET", "/v1/models/raft", "model-not-found"),
    ]


def with_failing_backend() -> list[Case]:
    cases = [chat(f"backend says {scene}", talk(user("Anyone?"), scene=scene), "retries") for scene in ("400", "401", "404", "500", "500-html")]
    return cases + [
        chat("backend says 500 to a stream", talk(user("Anyone?"), scene="500", stream=True), "retries"),
        chat("backend says 500, context", talk(user("Anyone?"), scene="500", channel="storm", target="x"), "retries"),
        chat("backend says 500, context again", talk(user("Still there?"), scene="500", channel="storm", target="x"), "retries"),
    ]


def with_dead_backend() -> list[Case]:
    return [
        chat("backend gone", talk(user("Hello?"))),
        chat("backend gone, stream", talk(user("Hello?"), stream=True)),
        call("models, backend gone", "GET", "/v1/models"),
        call("one model, backend gone", "GET", "/v1/models/local-agent"),
    ]


def without_key() -> list[Case]:
    return [
        chat("no key wanted, none given", talk(user("Open door")), authorized=False),
        chat("no key wanted, one given", talk(user("Open door"))),
        call("models without a key wanted", "GET", "/v1/models", headers={}),
    ]


def by_config_file() -> list[Case]:
    return [
        chat("started by a config file", talk(user("Same as ever?"), channel="file", target="one")),
        chat("the key of the file counts", talk(user("Let me in")), headers={"authorization": "Bearer wrong"}),
    ]


def without_backend() -> list[Case]:
    return plain() + bodies() + context_fields() + context_text() + repeats() + streams() + doors()
