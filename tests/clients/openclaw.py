"""Runs a real OpenClaw with the broker as its model provider, and looks at what reached the inbox.

openclaw.py --tools DIR --url http://127.0.0.1:PORT --key KEY --inbox DIR cli|gateway
openclaw.py --tools DIR --url http://127.0.0.1:PORT --key TOKEN --postroom FILE --answer TEXT bridge

`cli`      one turn of `openclaw agent --local`
`gateway`  `openclaw gateway run`: one turn by its own HTTP API, then one by its Telegram channel against a stand-in Bot API

`bridge`   the broker is a remote proxy here: `postroom bridge login --openclaw` sets OpenClaw up, `postroom bridge run` stands between,
           and one turn of `openclaw agent --local` shows its user the answer of the API behind that proxy

Every other turn must be one request, one inbox file with the human's words and the right context id, and a success in OpenClaw's eyes.
OpenClaw gets a home folder of its own that is removed afterwards; a process of it that outlives the check fails it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from common import (
    CheckFailed, check, check_equal, expect_no_processes_with, free_port, http_request, inbox_files, main, run_to_end, running, tail,
    temporary_folder, wait_until,
)
from telegram_bot_api import BOT_TOKEN, bot_api

TURN_SECONDS = 150
START_SECONDS = 150
GATEWAY_TOKEN = "gateway-check"
TELEGRAM_SENDER = 604213


class Setup:
    """One OpenClaw installation with a home of its own, pointed at the broker."""

    def __init__(self, tools: Path, home: Path, url: str, key: str, inbox: Path) -> None:
        self.openclaw = tools / "openclaw" / "node_modules" / ".bin" / "openclaw"
        self.node_bin = tools / "node" / "node_modules" / ".bin"
        check(self.openclaw.exists() and (self.node_bin / "node").exists(), f"openclaw or node is missing in {tools}: run tests/run")
        self.home, self.url, self.key, self.inbox = home, url.rstrip("/"), key, inbox
        self.gateway_port = free_port()
        self.env = {
            "HOME": str(home), "PATH": f"{self.node_bin}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": str(home / "tmp"),
            "NO_COLOR": "1",
        }
        (home / "tmp").mkdir(parents=True)

    def configure(self, channels: dict | None = None) -> None:
        model = {"id": "local-agent", "name": "Postroom", "contextWindow": 64000}
        provider = {"baseUrl": f"{self.url}/v1", "apiKey": self.key, "api": "openai-completions", "models": [model]}
        config = {
            "gateway": {
                "mode": "local", "bind": "loopback", "port": self.gateway_port, "auth": {"mode": "token", "token": GATEWAY_TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            },
            "models": {"mode": "merge", "providers": {"postroom": provider}},
            "agents": {"defaults": {"model": {"primary": "postroom/local-agent"}}},
            "logging": {"file": str(self.home / "openclaw.log")},
        }
        if channels:
            config["channels"] = channels
            config["plugins"] = {"entries": {name: {"enabled": True} for name in channels}}
        folder = self.home / ".openclaw"
        folder.mkdir(exist_ok=True)
        (folder / "openclaw.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def new_item(inbox: Path, before: list[Path], what: str) -> dict:
    """The one inbox file that a turn made."""
    fresh = [path for path in inbox_files(inbox) if path not in before]
    check_equal(len(fresh), 1, f"inbox files made by {what}")
    return json.loads(fresh[0].read_text(encoding="utf-8"))


def check_item(item: dict, prompt: str, context: str, what: str) -> None:
    check_equal(item.get("latest-user-prompt"), prompt, f"latest-user-prompt of {what}")
    check_equal(item.get("context_id"), context, f"context_id of {what}")


def report(what: str, started: float) -> None:
    print(f"ok: {what} ({time.monotonic() - started:.1f} s)", flush=True)


def cli_turn(setup: Setup) -> None:
    words = "Please file the harbour report before noon."
    setup.configure()
    before, started = inbox_files(setup.inbox), time.monotonic()
    command = [str(setup.openclaw), "agent", "--local", "--agent", "main", "-m", words, "--json"]
    code, out, err = run_to_end(command, TURN_SECONDS, env=setup.env, cwd=setup.home)
    check_equal(code, 0, f"exit code of `openclaw agent --local`; it wrote\n{out}\n{err}\n")
    result = json.loads(out[out.index("{"):])
    answer = " ".join(str(payload.get("text") or "") for payload in result["payloads"])
    check(answer.strip(), f"OpenClaw shows its user no text: {out[:2000]}")
    check("couldn't generate" not in answer, f"OpenClaw calls the turn a failure: {answer!r}")
    check_item(new_item(setup.inbox, before, "one CLI turn"), words, "agent:main:main", "the CLI turn")
    report("a CLI turn is one inbox file and a success", started)


def agent_turns(setup: Setup, answer: str) -> None:
    """The provider is an agent: OpenClaw shows its user what that agent says, turn after turn, and no inbox file is made."""
    setup.configure()
    before = inbox_files(setup.inbox)
    for number, words in enumerate(["Which crane is free this afternoon?", "And which one tomorrow?"], 1):
        started = time.monotonic()
        command = [str(setup.openclaw), "agent", "--local", "--agent", "main", "-m", words, "--json"]
        code, out, err = run_to_end(command, TURN_SECONDS, env=setup.env, cwd=setup.home)
        check_equal(code, 0, f"exit code of turn {number}; it wrote\n{out}\n{err}\n")
        result = json.loads(out[out.index("{"):])
        shown = " ".join(str(payload.get("text") or "") for payload in result["payloads"]).strip()
        check_equal(shown, f"{answer} {number}", f"what OpenClaw shows of turn {number}")
        report(f"turn {number} is the agent's answer", started)
    check_equal(inbox_files(setup.inbox), before, "inbox files of turns that an agent answered")


def api_turn(setup: Setup) -> None:
    words = "Which crane is free this afternoon?"
    before, started = inbox_files(setup.inbox), time.monotonic()
    body = json.dumps({"model": "openclaw", "user": "alice", "messages": [{"role": "user", "content": words}]}).encode()
    headers = {"authorization": f"Bearer {GATEWAY_TOKEN}", "content-type": "application/json"}
    gateway = f"http://127.0.0.1:{setup.gateway_port}"
    answer = http_request(gateway, "POST", "/v1/chat/completions", headers, body, timeout=TURN_SECONDS)
    check_equal(answer.status, 200, f"status of OpenClaw's own API ({answer})")
    shown = json.loads(answer.body)["choices"][0]["message"]["content"]
    check(shown and "couldn't generate" not in shown, f"OpenClaw calls the turn a failure: {shown!r}")
    context = "webchat:agent:main:openai-user:alice"
    check_item(new_item(setup.inbox, before, "one gateway turn"), words, context, "the gateway turn")
    report("a gateway turn is one inbox file and a success", started)


def telegram_turn(setup: Setup, bot) -> None:
    words = "The pilot boat is late, tell the quay."
    before, started = inbox_files(setup.inbox), time.monotonic()
    bot.private_message(TELEGRAM_SENDER, words)
    wait_until("the Telegram message to reach the inbox", lambda: len(inbox_files(setup.inbox)) > len(before), TURN_SECONDS)
    sent = wait_until("OpenClaw to answer on Telegram", lambda: list(bot.sent), TURN_SECONDS)
    answer = " ".join(str(message.get("text") or "") for message in sent)
    check(answer.strip() and "couldn't generate" not in answer, f"OpenClaw calls the turn a failure: {sent}")
    check_item(new_item(setup.inbox, before, "one Telegram turn"), words, f"telegram:{TELEGRAM_SENDER}", "the Telegram turn")
    report("a Telegram message is one inbox file and a success", started)


BRIDGE_CONFIG = """// The harbour's own OpenClaw.
{
  gateway: { mode: "local", bind: "loopback", port: %d, auth: { mode: "token", token: "%s" } }, // stays as it is
  logging: { file: "%s" },
}
"""


def bridge_turn(setup: Setup, postroom: Path, answer: str) -> None:
    started, port = time.monotonic(), free_port()
    config = setup.home / ".openclaw" / "openclaw.json"
    config.parent.mkdir()
    before = BRIDGE_CONFIG % (setup.gateway_port, GATEWAY_TOKEN, setup.home / "openclaw.log")
    config.write_text(before, encoding="utf-8")
    token = setup.home / "token"
    token.write_text(setup.key + "\n", encoding="utf-8")
    login = [
        str(postroom), "bridge", "login", "--url", setup.url, "--token-file", str(token), "--port", str(port), "--model", "harbour/crane=Crane",
        "--openclaw", "--default-model", "--yes",
    ]
    code, out, err = run_to_end(login, 30, env=setup.env, cwd=setup.home)
    check_equal(code, 0, f"exit code of `bridge login`; it wrote\n{out}\n{err}\n")
    for comment in ("// The harbour's own OpenClaw.", "// stays as it is"):
        check(comment in config.read_text(encoding="utf-8"), f"the comment {comment!r} is gone")
    log = setup.home / "bridge.log"
    with running([str(postroom), "bridge", "run"], log, env=setup.env, cwd=setup.home):
        def status():
            return run_to_end([str(postroom), "bridge", "status"], 30, env=setup.env, cwd=setup.home)
        wait_until("`bridge status` to say that all is well", lambda: status()[0] == 0, 30)
        command = [str(setup.openclaw), "agent", "--local", "--agent", "main", "-m", "Which crane is free?", "--json"]
        code, out, err = run_to_end(command, TURN_SECONDS, env=setup.env, cwd=setup.home)
    check_equal(code, 0, f"exit code of `openclaw agent --local`; it wrote\n{out}\n{err}\nand the bridge\n{tail(log)}\n")
    result = json.loads(out[out.index("{"):])
    shown = " ".join(str(payload.get("text") or "") for payload in result["payloads"]).strip()
    check_equal(shown, answer, "what OpenClaw shows its user")
    check(setup.key not in out + err + log.read_text(encoding="utf-8"), "the token was shown")
    report("a turn through the bridge is the API's answer", started)


def gateway_ready(setup: Setup, process) -> bool:
    if process.poll() is not None:
        raise CheckFailed(f"`openclaw gateway run` ended with {process.returncode}")
    try:
        return http_request(f"http://127.0.0.1:{setup.gateway_port}", "GET", "/ready", timeout=5.0).status == 200
    except OSError:
        return False


def gateway_turns(setup: Setup) -> None:
    with bot_api() as (bot_url, bot):
        telegram = {"enabled": True, "botToken": BOT_TOKEN, "apiRoot": bot_url, "dmPolicy": "open", "allowFrom": ["*"]}
        setup.configure({"telegram": telegram})
        log, started = setup.home / "gateway.log", time.monotonic()
        with running([str(setup.openclaw), "gateway", "run"], log, env=setup.env, cwd=setup.home, grace=20.0) as process:
            try:
                wait_until("the gateway to be ready", lambda: gateway_ready(setup, process), START_SECONDS, interval=0.25)
                report("the gateway is ready", started)
                api_turn(setup)
                wait_until("the Telegram channel to poll", lambda: "getUpdates" in bot.calls, START_SECONDS)
                telegram_turn(setup, bot)
            except CheckFailed as failure:
                raise CheckFailed(f"{failure}\nBot API calls: {bot.calls[-20:]}\ngateway log ends:\n{tail(log)}") from None


def program() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--inbox", type=Path, default=Path("no-inbox"))
    parser.add_argument("--postroom", type=Path, help="with `bridge`: the binary")
    parser.add_argument("--answer", default="", help="with `agent`: what the agent says, before the number of the turn")
    parser.add_argument("turns", choices=["cli", "gateway", "agent", "bridge"])
    arguments = parser.parse_args()
    with temporary_folder("openclaw") as home:
        setup = Setup(arguments.tools.resolve(), home, arguments.url, arguments.key, arguments.inbox)
        try:
            if arguments.turns == "agent":
                agent_turns(setup, arguments.answer)
            elif arguments.turns == "bridge":
                bridge_turn(setup, arguments.postroom, arguments.answer)
            elif arguments.turns == "cli":
                cli_turn(setup)
            else:
                gateway_turns(setup)
        finally:
            expect_no_processes_with(f"HOME={home}")


main(program)
