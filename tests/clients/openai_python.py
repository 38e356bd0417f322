"""OpenAI's Python SDK against a broker.

openai_python.py --url http://127.0.0.1:PORT --key KEY all [--text TEXT]
openai_python.py --url https://… --ca FILE …         the certificate that is trusted, alone
openai_python.py --url … --key … SECTION…            (chat stream models errors too-large)
openai_python.py --url … --key … rate-limited        the broker must trust 127.0.0.1 as a proxy
openai_python.py --url … --key … embeddings tools slashes backend-errors    the broker must have the backend of `openai_sdks.rs`
openai_python.py --url … --key … expect-status CODE [--stream]

`--text` is the text that answers must have (default: empty, the mailbox without a backend). The SDK's own retries are off.
"""

from __future__ import annotations

import argparse
import base64
import ssl
import struct

import openai

from common import CheckFailed, check, check_equal, main

MODEL = "local-agent"
BODY_LIMIT = 20 * 1024 * 1024
WRONG_KEYS_BEFORE_LOCK = 10
# The SDK's class for each status that has one; 413 has none of its own.
CLASSES = {
    400: openai.BadRequestError, 401: openai.AuthenticationError, 404: openai.NotFoundError, 413: openai.APIStatusError,
    422: openai.UnprocessableEntityError, 429: openai.RateLimitError, 502: openai.InternalServerError, 503: openai.InternalServerError,
}
TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
    429: "rate_limit_error", 502: "backend_error", 503: "overloaded_error",
}


class Session:
    """The SDK's client and what the answers must be."""

    def __init__(self, url: str, key: str, text: str, predecessor: bool, ca: str | None = None) -> None:
        self.ca = ca
        self.base = f"{url.rstrip('/')}/v1"
        self.text = text
        self.predecessor = predecessor
        self.client = self.with_key(key)

    def with_key(self, key: str) -> openai.OpenAI:
        if self.ca is None:
            return openai.OpenAI(base_url=self.base, api_key=key, max_retries=0, timeout=60.0)
        trusted = ssl.create_default_context(cafile=self.ca)
        http_client = openai.DefaultHttpxClient(verify=trusted)
        return openai.OpenAI(base_url=self.base, api_key=key, max_retries=0, timeout=60.0, http_client=http_client)

    def expect(self, status: int, call) -> openai.APIStatusError:
        """Calls `call`, which must raise the SDK's class for `status`."""
        try:
            answer = call()
        except openai.APIStatusError as error:
            check_equal(error.status_code, status, f"status ({error})")
            check(isinstance(error, CLASSES[status]), f"{status} raised {type(error).__name__}")
            if not self.predecessor:
                check(isinstance(error.body, dict), f"{status} has no error object: {error.response.text!r}")
                check_equal(error.type, TYPES.get(status, error.type), f"error.type of {status}")
            check(error.response.json()["error"]["message"], f"{status} has an empty message")
            return error
        raise CheckFailed(f"wanted status {status}, saw an answer: {answer!r}")


def messages(words: str) -> list[dict]:
    return [{"role": "system", "content": "You answer for the harbour office."}, {"role": "user", "content": words}]


def chat(session: Session) -> None:
    answer = session.client.chat.completions.create(model=MODEL, messages=messages("When does the ferry leave?"))
    check_equal(answer.object, "chat.completion", "object")
    check(answer.id.startswith("chatcmpl-"), f"id: {answer.id!r}")
    check_equal(len(answer.choices), 1, "choices")
    check_equal(answer.choices[0].message.role, "assistant", "role")
    check_equal(answer.choices[0].message.content, session.text, "content")
    check_equal(answer.choices[0].finish_reason, "stop", "finish_reason")
    check(answer.usage is not None, "usage is missing")


def stream(session: Session) -> None:
    options = {} if session.predecessor else {"stream_options": {"include_usage": True}}
    chunks = list(session.client.chat.completions.create(model=MODEL, messages=messages("Which pier?"), stream=True, **options))
    check(chunks, "no chunks came")
    check(all(chunk.object == "chat.completion.chunk" for chunk in chunks), f"objects: {chunks!r}")
    check_equal(len({chunk.id for chunk in chunks}), 1, "different ids in one stream")
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    check_equal(choices[0].delta.role, "assistant", "role of the first delta")
    check_equal("".join(choice.delta.content or "" for choice in choices), session.text, "text of the deltas")
    check_equal([choice.finish_reason for choice in choices if choice.finish_reason], ["stop"], "finish reasons")
    if options:
        check_equal(chunks[-1].choices, [], "choices of the last chunk")
        check(chunks[-1].usage is not None, "the last chunk has no usage")
        plain = list(session.client.chat.completions.create(model=MODEL, messages=messages("And back?"), stream=True))
        check(all(chunk.choices for chunk in plain), "a usage chunk came unasked")


def models(session: Session) -> None:
    listed = [model.id for model in session.client.models.list()]
    check(MODEL in listed, f"models: {listed}")
    model = session.client.models.retrieve(MODEL)
    check_equal((model.id, model.object), (MODEL, "model"), "the retrieved model")
    check(isinstance(model.created, int) and model.owned_by, f"model: {model!r}")
    session.expect(404, lambda: session.client.models.retrieve("no-such-model"))


def errors(session: Session) -> None:
    post = session.client.post
    headers = {"Content-Type": "application/json"}
    session.expect(400, lambda: post("/chat/completions", cast_to=object, content=b'{"messages": [', options={"headers": headers}))
    wrong = session.with_key("not-the-key")
    session.expect(401, lambda: wrong.chat.completions.create(model=MODEL, messages=messages("Hello?")))
    session.expect(401, lambda: wrong.models.list())
    if not session.predecessor:
        session.expect(404, lambda: post("/no-such-resource", cast_to=object, body={}))


def too_large(session: Session) -> None:
    words = "x" * (BODY_LIMIT + 1)
    session.expect(413, lambda: session.client.chat.completions.create(model=MODEL, messages=messages(words)))


def rate_limited(session: Session) -> None:
    far = {"X-Forwarded-For": "203.0.113.9"}
    wrong = session.with_key("not-the-key")
    for _ in range(WRONG_KEYS_BEFORE_LOCK):
        session.expect(401, lambda: wrong.models.list(extra_headers=far))
    error = session.expect(429, lambda: wrong.models.list(extra_headers=far))
    check(int(error.response.headers.get("retry-after", "0")) >= 1, f"Retry-After of the 429: {error.response.headers!r}")
    session.client.models.list(extra_headers=far)  # a correct key always passes
    session.expect(401, lambda: wrong.models.list(extra_headers={"X-Forwarded-For": "203.0.113.10"}))


def expect_status(session: Session, status: int, streamed: bool) -> None:
    error = session.expect(
        status, lambda: session.client.chat.completions.create(model=MODEL, messages=messages("Anyone there?"), stream=streamed)
    )
    if status in (429, 503):
        check(error.response.headers.get("retry-after"), f"{status} has no Retry-After: {error.response.headers!r}")


VECTORS = [[0.5, -0.25, 2.0], [1.0, 0.0, -8.0]]
TOOL = {
    "type": "function",
    "function": {"name": "tide", "description": "When it turns.", "parameters": {"type": "object", "properties": {"pier": {"type": "string"}}}},
}


def embeddings(session: Session) -> None:
    def create(**options):
        return session.client.embeddings.create(model="harbour-vectors", input=["north pier", "south pier"], **options)

    floats = create(encoding_format="float")
    check_equal([item.embedding for item in floats.data], VECTORS, "vectors as numbers")
    check_equal([item.index for item in floats.data], [0, 1], "indexes")
    encoded = create(encoding_format="base64")
    wanted = [base64.b64encode(struct.pack("<3f", *vector)).decode() for vector in VECTORS]
    check_equal([item.embedding for item in encoded.data], wanted, "vectors as base64")
    # The SDK asks for base64 by itself, and decodes it.
    check_equal([list(item.embedding) for item in create(dimensions=3).data], VECTORS, "vectors as the SDK reads them")
    session.expect(400, lambda: session.client.embeddings.create(model="harbour-vectors", input=[]))
    error = session.expect(400, lambda: session.client.embeddings.create(model="harbour-vectors", input="x" * 8193))
    check_equal(error.param, "input", "param")


def tools(session: Session) -> None:
    def ask(**options):
        return session.client.chat.completions.create(
            model="harbour/large", messages=messages("Tides?"), tools=[TOOL], tool_choice="required", parallel_tool_calls=True, **options
        )

    choice = ask().choices[0]
    check_equal(choice.finish_reason, "tool_calls", "finish reason")
    check_equal([call.function.name for call in choice.message.tool_calls], ["tide", "tide"], "calls")
    pieces = [call for chunk in ask(stream=True) for choice in chunk.choices for call in choice.delta.tool_calls or []]
    check_equal([piece.function.name for piece in pieces], ["tide", "tide"], "calls in a stream")
    check_equal([piece.index for piece in pieces], [0, 1], "indexes in a stream")


def slashes(session: Session) -> None:
    listed = [model.id for model in session.client.models.list()]
    check_equal(listed, ["harbour/large", "harbour/small/v2"], "models")
    for name in listed:
        check_equal(session.client.models.retrieve(name).id, name, "the retrieved model")


def backend_errors(session: Session) -> None:
    """What a backend says to a request for embeddings, as the SDK's own classes."""
    for model, status in [("harbour-bad", 400), ("harbour-none", 404), ("harbour-long", 422), ("harbour-busy", 429), ("harbour-ill", 502)]:
        session.expect(status, lambda model=model: session.client.embeddings.create(model=model, input="pier"))


SECTIONS = {"embeddings": embeddings, "tools": tools, "slashes": slashes, "backend-errors": backend_errors, "chat": chat, "stream": stream, "models": models, "errors": errors, "too-large": too_large, "rate-limited": rate_limited}
ALL = ["chat", "stream", "models", "errors", "too-large"]


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--text", default="")
    parser.add_argument("--ca", help="file of the only certificate that is trusted")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--predecessor", action="store_true", help="leave out what the predecessor cannot do")
    parser.add_argument("sections", nargs="+")
    arguments = parser.parse_args()
    session = Session(arguments.url, arguments.key, arguments.text, arguments.predecessor, arguments.ca)
    if arguments.sections[0] == "expect-status":
        expect_status(session, int(arguments.sections[1]), arguments.stream)
        print(f"ok: status {arguments.sections[1]}", flush=True)
        return
    for name in ALL if arguments.sections == ["all"] else arguments.sections:
        check(name in SECTIONS, f"no section `{name}`; there are {', '.join(SECTIONS)}")
        try:
            SECTIONS[name](session)
        except (CheckFailed, openai.APIError) as failure:
            raise CheckFailed(f"{name}: {type(failure).__name__}: {failure}") from None
        print(f"ok: {name}", flush=True)


main(program)
