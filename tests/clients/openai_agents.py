"""OpenAI's Python SDK against a broker whose agent is a CLI with the mock model of `mock_llm.py` behind it.

openai_agents.py --url http://127.0.0.1:PORT --key KEY --model AGENT --mock http://127.0.0.1:PORT SECTION…

Sections: chat, sessions, stream, errors, background, cancel, follow-up. The SDK's own retries are off.
"""

from __future__ import annotations

import argparse
import re
import time

import openai

from common import CheckFailed, check, check_equal, http_request, main, wait_until

TURN_SECONDS = 60.0
AT_ONCE_SECONDS = 2.0
OPEN = ("queued", "in_progress")


class Session:
    """The SDK's client, the agent, and the model behind it."""

    def __init__(self, url: str, key: str, model: str, mock: str) -> None:
        self.model, self.mock = model, mock
        self.client = openai.OpenAI(base_url=f"{url.rstrip('/')}/v1", api_key=key, max_retries=0, timeout=TURN_SECONDS)

    def chat(self, words: str, user: str, **options):
        messages = [{"role": "user", "content": words}]
        return self.client.chat.completions.create(model=self.model, messages=messages, user=user, **options)

    def say(self, words: str, user: str) -> str:
        return self.chat(words, user).choices[0].message.content

    def begin(self, words: str, user: str):
        """A background response, which must not take as long as its turn."""
        began = time.monotonic()
        response = self.client.responses.create(model=self.model, input=words, user=user, background=True)
        took = time.monotonic() - began
        check(took < AT_ONCE_SECONDS, f"a background response took {took:.1f} s to be queued")
        check_equal(response.status, "queued", "status of a background response")
        check(response.id.startswith("resp_"), f"id: {response.id!r}")
        return response

    def until(self, identity: str, *wanted: str):
        def probe():
            response = self.client.responses.retrieve(identity)
            check(response.status in (*OPEN, *wanted), f"{identity} is {response.status}: {response.error!r}")
            return response if response.status in wanted else None

        return wait_until(f"{identity} to be {' or '.join(wanted)}", probe, TURN_SECONDS)

    def release(self, name: str) -> None:
        http_request(self.mock, "POST", f"/_release/{name}", body=b"{}")


def users(text: str) -> int:
    found = re.search(r"users=(\d+)", text or "")
    check(found, f"the model did not count its user messages: {text!r}")
    return int(found.group(1))


def chat(session: Session) -> None:
    answer = session.chat("[[say: The ferry leaves at ten.]]", "chat")
    check_equal(answer.object, "chat.completion", "object")
    check_equal(answer.model, session.model, "model")
    check_equal(answer.choices[0].message.role, "assistant", "role")
    check_equal(answer.choices[0].message.content, "The ferry leaves at ten.", "content")
    check_equal(answer.choices[0].finish_reason, "stop", "finish_reason")
    check(answer.usage and answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, f"usage: {answer.usage!r}")
    check_equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens, "total tokens")
    again = session.chat("[[say: And back at noon.]]", "chat")
    check_equal(again.usage.prompt_tokens, answer.usage.prompt_tokens, "tokens of the second turn, which are its own and no total")


def sessions(session: Session) -> None:
    counts = [users(session.say("How many of us?", "alice")) for _ in range(3)]
    check_equal(counts, [counts[0], counts[0] + 1, counts[0] + 2], "user messages that the model saw, turn by turn")
    check_equal(users(session.say("How many of us?", "bob")), counts[0], "user messages of another user's first turn")


def stream(session: Session) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(session.chat("[[say: one two three]]", "stream", **options))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    check_equal(choices[0].delta.role, "assistant", "role of the first delta")
    check_equal("".join(choice.delta.content or "" for choice in choices), "one two three", "text of the deltas")
    check_equal([choice.finish_reason for choice in choices if choice.finish_reason], ["stop"], "finish reasons")
    check_equal(chunks[-1].choices, [], "choices of the last chunk")
    check(chunks[-1].usage and chunks[-1].usage.completion_tokens > 0, f"usage of the last chunk: {chunks[-1].usage!r}")
    events = list(session.client.responses.create(model=session.model, input="[[say: four five]]", user="stream", stream=True))
    kinds = [event.type for event in events]
    check_equal((kinds[0], kinds[-1]), ("response.created", "response.completed"), "first and last event")
    check_equal([event.sequence_number for event in events], list(range(len(events))), "sequence numbers")
    check_equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), "four five", "text of the deltas")
    check_equal(events[-1].response.output_text, "four five", "text of the completed response")


def errors(session: Session) -> None:
    try:
        answer = session.chat("[[fail: 401]]", "errors")
    except openai.InternalServerError as error:
        check_equal(error.status_code, 502, "status of a failed turn")
        check("401" in str(error), f"the CLI's own words are missing: {error}")
        return
    raise CheckFailed(f"a failed turn was answered: {answer!r}")


def background(session: Session) -> None:
    response = session.begin("[[hold: background]] [[say: done in the background]]", "background")
    session.until(response.id, "in_progress")
    session.release("background")
    done = session.until(response.id, "completed")
    check_equal(done.output_text, "done in the background", "text")
    check(done.usage and done.usage.total_tokens > 0, f"usage: {done.usage!r}")


def cancel(session: Session) -> None:
    response = session.begin("[[hold: never]]", "cancel")
    session.until(response.id, "in_progress")
    check_equal(session.client.responses.cancel(response.id).status, "cancelled", "status of the cancelled response")
    check_equal(session.client.responses.retrieve(response.id).status, "cancelled", "status later")


def follow_up(session: Session) -> None:
    first = session.client.responses.create(model=session.model, input="How many of us?")
    second = session.client.responses.create(model=session.model, input="And now?", previous_response_id=first.id)
    check_equal(users(second.output_text), users(first.output_text) + 1, "user messages after `previous_response_id`")


SECTIONS = {
    "chat": chat, "sessions": sessions, "stream": stream, "errors": errors, "background": background, "cancel": cancel,
    "follow-up": follow_up,
}


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mock", required=True)
    parser.add_argument("sections", nargs="+", choices=SECTIONS)
    arguments = parser.parse_args()
    session = Session(arguments.url, arguments.key, arguments.model, arguments.mock)
    for name in arguments.sections:
        try:
            SECTIONS[name](session)
        except (CheckFailed, openai.APIError) as failure:
            raise CheckFailed(f"{name}: {type(failure).__name__}: {failure}") from None
        print(f"ok: {name}", flush=True)


main(program)
