"""Sends the same requests to the predecessor 2.3.0 and to Postroom, and compares all that can be seen from outside.

differential.py --predecessor …/ai-agent-proxy -- postroom serve       (the command that is to be compared, without options)
differential.py --predecessor …/ai-agent-proxy --self-check            (the predecessor against itself: no difference at all)

Compared: status, media type, body (but for ids and times), stream events, the inbox file's text and parsed content, the marks of
known contexts, and what the backend was asked. Wanted differences are in `differential_rules.py`; any other fails the run.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import re
import time
from collections import Counter
from pathlib import Path

from common import CheckFailed, answers, check, free_port, http_request, inbox_files, main, running, tail, temporary_folder, wait_until
from differential_cases import (
    KEY, Case, by_config_file, with_backend, with_dead_backend, with_failing_backend, without_backend, without_key,
)
from differential_rules import BY_CASE, GENERAL, Unwanted
from scripted_backend import scripted_backend

BACKEND_KEY = "tide-key"
START_SECONDS = 60
ANSWER_SECONDS = 60
FILE_SECONDS = 15
FILE_NAME = re.compile(r"\d{14}-[0-9a-f]{32}\.json")


class Side:
    """One of the two programs at work, with its own inbox and its own backend."""

    def __init__(self, name: str, folder: Path, url: str, backend) -> None:
        self.name, self.folder, self.url, self.backend = name, folder, url, backend
        self.inbox = folder / "workspace" / "inbox"
        self.log = folder / f"{name}.log"
        self.known: set[Path] = set()

    def observe(self, case: Case, theirs: dict | None = None) -> dict:
        """Sends the case's request and gathers what it did; waits for the file that an accepted message must have."""
        answer = http_request(self.url, case.method, case.path, case.headers, case.body, timeout=ANSWER_SECONDS)
        accepted = case.method == "POST" and answer.status < 300
        marks = theirs["marks"] if theirs and theirs["status"] == answer.status else None
        if accepted:
            with contextlib.suppress(CheckFailed):
                wait_until("file and mark", lambda: self.fresh() and marks in (None, self.marks()), FILE_SECONDS)
        files = self.fresh()
        self.known.update(files)
        texts = [path.read_text(encoding="utf-8") for path in files]
        kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        events = stream_events(answer.body) if kind == "text/event-stream" else None
        return {
            "status": answer.status, "type": kind, "allow": answer.headers.get("allow"), "body": without_ids(as_json(answer.body)),
            "events": None if events is None else without_ids(events), "stream": None if events is None else summary(events),
            "names": ["well-formed" if FILE_NAME.fullmatch(path.name) else path.name for path in files],
            "files": [json.loads(text) for text in texts], "text": texts, "marks": self.marks(),
            "asked": self.backend.take() if self.backend else [],
        }

    def fresh(self) -> list[Path]:
        return [path for path in inbox_files(self.inbox) if path not in self.known]

    def marks(self) -> dict[str, str]:
        folder = self.inbox.parent / ".context_ids"
        return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} if folder.is_dir() else {}


def as_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", errors="replace")


def stream_events(body: bytes) -> list[object]:
    """The `data:` of each event, parsed where it is JSON; comments are left out."""
    events = []
    for block in re.split(r"\r?\n\r?\n", body.decode("utf-8", errors="replace")):
        data = [line.removeprefix("data:").removeprefix(" ") for line in block.splitlines() if line.startswith("data:")]
        if data:
            events.append(as_json("\n".join(data).encode()))
    return events


def summary(events: list[object]) -> dict:
    """What a stream adds up to for its reader."""
    chunks = [event for event in events if isinstance(event, dict)]
    choices = [choice for chunk in chunks for choice in chunk.get("choices") or []]
    return {
        "kinds": sorted({str(chunk.get("object")) for chunk in chunks}), "models": sorted({str(chunk.get("model")) for chunk in chunks}),
        "ids": len({str(chunk.get("id")) for chunk in chunks}), "text": "".join(choice["delta"].get("content") or "" for choice in choices),
        "roles": [choice["delta"]["role"] for choice in choices if choice["delta"].get("role")],
        "finish": [choice["finish_reason"] for choice in choices if choice.get("finish_reason")],
        "usage": any(chunk.get("usage") and not chunk["choices"] for chunk in chunks), "done": bool(events) and events[-1] == "[DONE]",
    }


def without_ids(value: object) -> object:
    """The value with completion ids and times replaced, their form kept."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {name: placeholder(name, item) for name, item in value.items()}
    if isinstance(value, str) and value.lstrip().startswith("data:"):
        return re.sub(r'"created": ?\d+', '"created": 0', re.sub(r"chatcmpl-[0-9a-f]{32}", "chatcmpl-…", value))
    return value


def placeholder(name: str, value: object) -> object:
    if name == "created" and isinstance(value, int) and abs(value - time.time()) < 86400:
        return "a time of today"
    if name == "id" and isinstance(value, str) and re.fullmatch(r"chatcmpl-[0-9a-f]{32}", value):
        return "chatcmpl-…"
    return without_ids(value)


def options(side: Side, suite: str, backend_url: str | None) -> list[str]:
    """The command-line options of one side, or of its config file in the predecessor's form."""
    port = side.url.rsplit(":", 1)[1]
    given = {"host": "127.0.0.1", "port": port, "inbox": str(side.inbox)}
    if suite != "without a key":
        given["key"] = KEY
    if backend_url:
        given.update({"url": backend_url, "api_key": BACKEND_KEY})
    if suite != "config file":
        return [part for name, value in given.items() for part in (f"--{name}", value)]
    lines = [f'{name.upper()}="{value}"' if name == "key" else f"{name.upper()}={value}" for name, value in given.items()]
    file = side.folder / "proxy.conf"
    file.write_text("# of the predecessor's form\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return ["-f", str(file)]


@contextlib.contextmanager
def started(name: str, command: list[str], suite: str, backend_kind: str):
    """One program, up and answering."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("differential"))
        backend_url, backend = None, None
        if backend_kind == "scripted":
            backend_url, backend = stack.enter_context(scripted_backend())
        elif backend_kind == "dead":
            backend_url = f"http://127.0.0.1:{free_port()}"
        side = Side(name, folder, f"http://127.0.0.1:{free_port()}", backend)
        env = {"HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        process = stack.enter_context(running(command + options(side, suite, backend_url), side.log, env=env, cwd=folder))

        def up() -> bool:
            check(process.poll() is None, f"{name} ended with {process.returncode}:\n{tail(side.log)}")
            return answers(side.url, "/v1/models")

        wait_until(f"{name} to answer", up, START_SECONDS)
        yield side


def settle(case: Case, theirs: dict, ours: dict, used: Counter) -> list[str]:
    """Applies the rules; returns what ours did that is neither the same nor wanted."""
    unwanted = []
    for rule in [BY_CASE[name] for name in case.rules] + GENERAL:
        try:
            used[rule.name] += bool(rule.settle(case, theirs, ours))
        except (Unwanted, KeyError, TypeError, AttributeError, IndexError) as failure:
            unwanted.append(f"rule {rule.name} ({rule.why}): {failure!r}")
    return unwanted


def settle_texts(theirs: dict, ours: dict) -> None:
    """Where a wanted change touched the parsed files, their texts differ with it; both are then compared as we would write them."""
    for seen in (theirs, ours):
        parsed = [json.loads(text) for text in seen["text"]]
        if parsed != seen["files"]:
            seen["text"] = [json.dumps(item, ensure_ascii=False, indent=2, sort_keys=True) + "\n" for item in seen["files"]]


def compare(case: Case, theirs: dict, ours: dict, self_check: bool, used: Counter) -> list[str]:
    theirs, ours = copy.deepcopy(theirs), copy.deepcopy(ours)
    unwanted = []
    if not self_check:
        unwanted = settle(case, theirs, ours, used)
        settle_texts(theirs, ours)
    for facet in theirs:
        if theirs[facet] != ours[facet]:
            unwanted.append(f"{facet}:\n    predecessor {shown(theirs[facet])}\n    ours        {shown(ours[facet])}")
    return unwanted


def shown(value: object) -> str:
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 600 else f"{line[:600]}… ({len(line)} characters)"


SUITES = [
    ("without a backend", "", without_backend),
    ("with a backend", "scripted", with_backend),
    ("with a failing backend", "scripted", with_failing_backend),
    ("with a dead backend", "dead", with_dead_backend),
    ("without a key", "", without_key),
    ("config file", "", by_config_file),
]


def run_suite(suite: str, backend_kind: str, cases: list[Case], commands: tuple[list[str], list[str]], self_check: bool, used: Counter) -> list[str]:
    failures = []
    with started("predecessor", commands[0], suite, backend_kind) as first, started("ours", commands[1], suite, backend_kind) as second:
        for case in cases:
            theirs = first.observe(case)
            ours = second.observe(case, theirs)
            failures += [f"{suite}: {case.name}: {line}" for line in compare(case, theirs, ours, self_check, used)]
        late = second.fresh()
        if late:
            failures.append(f"{suite}: {len(late)} inbox files came that no request accounts for")
        if failures and not self_check:
            failures.append(f"{suite}: our log ends:\n{tail(second.log, 15)}")
    return failures


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predecessor", required=True)
    parser.add_argument("--self-check", action="store_true")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    check(bool(arguments.command) != arguments.self_check, "give either a command after `--` or --self-check")
    commands = ([arguments.predecessor], [arguments.predecessor] if arguments.self_check else arguments.command)
    used, failures, count = Counter(), [], 0
    for suite, backend_kind, make_cases in SUITES:
        cases, begun = make_cases(), time.monotonic()
        count += len(cases)
        failures += run_suite(suite, backend_kind, cases, commands, arguments.self_check, used)
        print(f"{suite}: {len(cases)} requests ({time.monotonic() - begun:.1f} s)", flush=True)
    for name, times in sorted(used.items()):
        print(f"wanted difference {name}: {times} times")
    check(not failures, f"{len(failures)} differences that nobody wants\n" + "\n".join(failures))
    print(f"{count} requests compared, no difference but the wanted ones", flush=True)


main(program)
