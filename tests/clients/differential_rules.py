"""The differences between the predecessor 2.3.0 and Postroom that are wanted, each with the sentence of the specification behind it.

A rule gets what both programs did on one case. It looks whether ours did what is wanted instead (`Unwanted` if not) and
then makes the two alike in that respect, so that everything else is still compared. General rules hold for all cases, the
others only for the cases that name them.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Callable

from differential_cases import Case

INSTRUCTION = "backend-llm-instruction"
REPLY = "backend-llm-reply"


class Unwanted(Exception):
    """Ours differs, and not in the way that is wanted."""


def want(condition: object, message: str) -> None:
    if not condition:
        raise Unwanted(message)


@dataclass(frozen=True)
class Rule:
    """One wanted difference. `settle` may change both observations (copies); it returns whether there was a difference."""

    name: str
    why: str
    settle: Callable[[Case, dict, dict], bool]


def error_of(seen: dict) -> dict:
    body = seen["body"]
    return body.get("error", {}) if isinstance(body, dict) and isinstance(body.get("error"), dict) else {}


def is_empty_completion(seen: dict, streamed: bool) -> bool:
    body = seen["stream"] if streamed else seen["body"]
    if seen["status"] != 200 or not isinstance(body, dict):
        return False
    if streamed:
        return body["text"] == "" and body["finish"] == ["stop"] and body["done"]
    return body.get("object") == "chat.completion" and body["choices"][0]["message"] == {"role": "assistant", "content": ""}


def take_ours(theirs: dict, ours: dict, *facets: str) -> None:
    for facet in facets:
        theirs[facet] = copy.deepcopy(ours[facet])


def expect_error(ours: dict, status: int, kind: str, code: object) -> None:
    error = error_of(ours)
    want(ours["status"] == status, f"status: wanted {status}, saw {ours['status']}")
    want(ours["body"].get("status") == "error", f"no `status: error` in {ours['body']}")
    want(error.get("type") == kind and error.get("code") == code, f"wanted type {kind} and code {code!r}, saw {error}")


def error_wording(case: Case, theirs: dict, ours: dict) -> bool:
    said, says = error_of(theirs), error_of(ours)
    if not said or not says:
        return False
    want(isinstance(says.get("message"), str) and says["message"].strip(), f"empty error message: {says}")
    changed = says["message"] != said.get("message")
    says["message"] = said["message"] = "…"
    if "param" in says:  # OpenAI's form has it, always
        changed = True
        del says["param"]
    return changed


def stream_shape(case: Case, theirs: dict, ours: dict) -> bool:
    """The events of our own answers are not compared, what they add up to is. A backend's stream is passed on byte for byte."""
    if "chatcmpl-tide" in str(ours["body"]):
        return False
    changed = theirs["events"] != ours["events"]
    theirs["events"] = ours["events"] = None
    if ours["stream"] is not None:
        theirs["body"] = ours["body"] = None
    return changed


def follow_up_wording(case: Case, theirs: dict, ours: dict) -> bool:
    changed = False
    for seen in (theirs, ours):
        for item in seen["files"]:
            if isinstance(item, dict) and INSTRUCTION in item:
                want(isinstance(item[INSTRUCTION], str) and item[INSTRUCTION].strip(), f"`{INSTRUCTION}` is empty")
                changed = changed or seen is ours
                item[INSTRUCTION] = "…"
    return changed


def upstream_request(case: Case, theirs: dict, ours: dict) -> bool:
    """Their own system message stands in front (twice, in 2.3.0); ours has at most one, or none without an instruction."""
    changed = False
    sent = json.loads(case.body) if theirs["asked"] and case.body else None
    tail = sent.get("messages") if isinstance(sent, dict) else None
    for seen in (theirs, ours):
        for request in seen["asked"]:
            body = request["body"]
            if not isinstance(body, dict):
                continue
            model = body.pop("model", None)
            changed = changed or model is not None
            if seen is ours:
                want(model != "local-agent", "`local-agent` went upstream")
            if isinstance(tail, list) and isinstance(body.get("messages"), list):
                front = body["messages"][: len(body["messages"]) - len(tail)]
                if seen is ours:
                    want(len(front) <= 1, f"more than one message was put in front: {front}")
                    want(all(message.get("role") == "system" for message in front), f"put in front: {front}")
                body["messages"] = body["messages"][len(front):]
    return changed


def bad_json(case: Case, theirs: dict, ours: dict) -> bool:
    expect_error(ours, 400, "invalid_request_error", 400)
    error_of(ours)["type"] = error_of(theirs).get("type")
    return True


def stricter_json(case: Case, theirs: dict, ours: dict) -> bool:
    if ours["status"] == 200:
        return False
    expect_error(ours, 400, "invalid_request_error", 400)
    want(not ours["files"], "a refused body left a file")
    take_ours(theirs, ours, "status", "type", "body", "names", "files", "text", "marks")
    return True


def number_spelling(case: Case, theirs: dict, ours: dict) -> bool:
    changed = theirs["text"] != ours["text"]
    take_ours(theirs, ours, "text")
    return changed


def stream_usage(case: Case, theirs: dict, ours: dict) -> bool:
    want(ours["stream"] and ours["stream"]["usage"], f"no usage chunk: {ours['stream']}")
    theirs["stream"]["usage"] = ours["stream"]["usage"]
    return True


def stream_not_boolean(case: Case, theirs: dict, ours: dict) -> bool:
    if ours["stream"] is not None:
        return False
    want(is_empty_completion(ours, streamed=False), f"neither a stream nor the empty completion: {ours['body']}")
    take_ours(theirs, ours, "type", "body", "stream")
    return True


def scheme_in_any_case(case: Case, theirs: dict, ours: dict) -> bool:
    want(is_empty_completion(ours, streamed=False), f"wanted an answer, saw {ours['status']} {ours['body']}")
    want(len(ours["files"]) == 1, f"wanted one inbox file, saw {len(ours['files'])}")
    take_ours(theirs, ours, "status", "body", "names", "files", "text")
    return True


def model_not_found(case: Case, theirs: dict, ours: dict) -> bool:
    expect_error(ours, 404, "not_found_error", "model_not_found")
    error_of(theirs)["code"] = "model_not_found"
    return True


def unknown_path(case: Case, theirs: dict, ours: dict) -> bool:
    expect_error(ours, 404, "not_found_error", 404)
    take_ours(theirs, ours, "status", "body")
    return True


def dashboard(case: Case, theirs: dict, ours: dict) -> bool:
    want(ours["status"] == 200, f"status: wanted 200, saw {ours['status']}")
    want(ours["type"] == "text/html", f"type: wanted text/html, saw {ours['type']}")
    take_ours(theirs, ours, "status", "body", "type")
    return True


def wrong_method(case: Case, theirs: dict, ours: dict) -> bool:
    want(ours["status"] == 405, f"status: wanted 405, saw {ours['status']}")
    want(ours["allow"], "a 405 without `Allow`")
    want(error_of(ours).get("code") == 405, f"no error form: {ours['body']}")
    take_ours(theirs, ours, "status", "body", "allow", "type")
    return True


def model_with_slash(case: Case, theirs: dict, ours: dict) -> bool:
    want(ours["status"] == 200 and ours["body"].get("id") == "tides/large", f"wanted the model, saw {ours['status']} {ours['body']}")
    take_ours(theirs, ours, "status", "body")
    return True


def backend_nonsense(case: Case, theirs: dict, ours: dict) -> bool:
    if (ours["status"], ours["body"]) == (theirs["status"], theirs["body"]):
        return False
    want(is_empty_completion(ours, streamed=False), f"neither the backend's answer nor the empty completion: {ours['body']}")
    take_ours(theirs, ours, "status", "type", "body")
    return True


def drop_reply(ours: dict) -> None:
    for item in ours["files"]:
        item.pop(REPLY, None)
        item.pop(INSTRUCTION, None)


def streamed_reply(case: Case, theirs: dict, ours: dict) -> bool:
    want(len(ours["files"]) == 1, f"wanted one inbox file, saw {len(ours['files'])}")
    item = ours["files"][0]
    want(item.get(REPLY) == ours["stream"]["text"] and item.get(REPLY), f"`{REPLY}` is {item.get(REPLY)!r}, the stream said {ours['stream']['text']!r}")
    want(item.get(INSTRUCTION), f"no `{INSTRUCTION}` beside the reply")
    drop_reply(ours)
    take_ours(theirs, ours, "text")
    return True


def empty_reply(case: Case, theirs: dict, ours: dict) -> bool:
    if any(REPLY in item for item in ours["files"]):
        return False
    drop_reply(theirs)
    take_ours(theirs, ours, "text")
    return True


def reply_in_parts(case: Case, theirs: dict, ours: dict) -> bool:
    if not any(REPLY in item for item in ours["files"]):
        return False
    want(ours["files"][0][REPLY] == "in parts", f"`{REPLY}` is {ours['files'][0][REPLY]!r}")
    drop_reply(ours)
    take_ours(theirs, ours, "text")
    return True


def retries(case: Case, theirs: dict, ours: dict) -> bool:
    changed = theirs["asked"] != ours["asked"]
    take_ours(theirs, ours, "asked")
    return changed


def not_an_object_upstream(case: Case, theirs: dict, ours: dict) -> bool:
    if ours["asked"]:
        return False
    want(is_empty_completion(ours, streamed=False), f"neither relayed nor the empty completion: {ours['body']}")
    want(len(ours["files"]) == 1, "the message is not in the inbox")
    take_ours(theirs, ours, "asked", "status", "type", "body")
    return True


GENERAL = [
    Rule("stream-shape", "mailbox, the empty completion: a delta with role and content, then finish_reason; the predecessor puts both in one chunk", stream_shape),
    Rule("error-wording", "mailbox, errors: the predecessor tells less; OpenAI's form may name the field", error_wording),
    Rule("upstream-request", "mailbox, relay: model and instruction in front are ours to set; `local-agent` never goes upstream", upstream_request),
    Rule("follow-up-wording", "mailbox, inbox files: one sentence of ours tells the agent to check the reply", follow_up_wording),
]
BY_CASE = {
    rule.name: rule
    for rule in [
        Rule("bad-json", "mailbox, errors: `invalid_request_error` where the predecessor says `request_error`", bad_json),
        Rule("stricter-json", "mailbox, step 1: what is not JSON is a 400; Python's reader takes (or trips over) more than JSON", stricter_json),
        Rule("number-spelling", "mailbox, inbox files: the request's JSON as it came; Python writes numbers anew", number_spelling),
        Rule("stream-usage", "mailbox, the empty completion: with include_usage a last chunk with usage", stream_usage),
        Rule("stream-not-boolean", "gateway, streams: `stream: true` decides", stream_not_boolean),
        Rule("scheme-in-any-case", "gateway, auth: the scheme counts in any case", scheme_in_any_case),
        Rule("model-not-found", "mailbox, errors: `code` is the string where a specification names one", model_not_found),
        Rule("unknown-path", "mailbox, errors: 404 with a valid key where the predecessor says 401", unknown_path),
        Rule("dashboard", "operators, dashboard: `/` shows it to an operator's key", dashboard),
        Rule("wrong-method", "mailbox, errors: 405 with a valid key where the predecessor says 401", wrong_method),
        Rule("model-with-slash", "mailbox, models: an id may hold a slash, coded or not", model_with_slash),
        Rule("backend-nonsense", "mailbox, what happens: a backend that talks nonsense may be answered with the empty completion", backend_nonsense),
        Rule("streamed-reply", "mailbox, inbox files: the reply of a stream is the deltas put together", streamed_reply),
        Rule("empty-reply", "mailbox, inbox files: the reply keys are there when the backend answered with text", empty_reply),
        Rule("reply-in-parts", "mailbox, inbox files: the assistant's text may come in parts", reply_in_parts),
        Rule("retries", "mailbox, relay: a failed request may be tried again before the first byte", retries),
        Rule("not-an-object-upstream", "mailbox, relay: a body without messages may stay with the mailbox", not_an_object_upstream),
    ]
}
