"""What the client programs share: temporary homes, processes that always end, polling with a deadline.

Standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
from pathlib import Path


class CheckFailed(AssertionError):
    """A client saw something else than the specification says."""


def check(condition: object, message: str) -> None:
    """Fails with `message` unless `condition` holds. (`assert` would vanish under `python -O`.)"""
    if not condition:
        raise CheckFailed(message)


def check_equal(seen: object, wanted: object, what: str) -> None:
    check(seen == wanted, f"{what}: wanted {wanted!r}, saw {seen!r}")


def wait_until(what: str, probe, seconds: float, interval: float = 0.05):
    """Calls `probe` until it returns something true, and returns that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise CheckFailed(f"waited {seconds:g} s in vain: {what}")
        time.sleep(interval)


def free_port() -> int:
    """A port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def temporary_folder(prefix: str):
    folder = Path(tempfile.mkdtemp(prefix=f"postroom-{prefix}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_group(process: subprocess.Popen, grace: float) -> None:
    for sign, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if not _group_lives(process.pid):
            return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def running(command: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None, grace: float = 10.0):
    """Runs a server in its own process group, its output in `log`; the whole group is ended on the way out."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True
        )
    try:
        yield process
    finally:
        _end_group(process, grace)


def run_to_end(command: list[str], seconds: float, env: dict[str, str] | None = None, cwd: Path | None = None):
    """Runs a command to its end and returns (exit code, stdout, stderr); past `seconds` its group is killed and the check fails."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end_group(process, 1.0)
        out, err = process.communicate()
        raise CheckFailed(f"`{command[0]}` did not end within {seconds:g} s\n{text(out)}\n{text(err)}") from None
    finally:
        _end_group(process, 1.0)
    return process.returncode, text(out), text(err)


def processes_with(variable: str) -> dict[int, str]:
    """The living processes whose environment holds `variable` (`NAME=value`), with their command lines."""
    found = {}
    wanted = variable.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = text((entry / "cmdline").read_bytes().replace(b"\0", b" "))
    return found


def expect_no_processes_with(variable: str, seconds: float = 10.0) -> None:
    """Fails (after ending them) if processes that carry `variable` outlive the check."""
    try:
        wait_until("left-over processes to end", lambda: not processes_with(variable), seconds)
    except CheckFailed:
        left = processes_with(variable)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise CheckFailed(f"processes were left behind: {left}") from None


def text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def tail(path: Path, lines: int = 40) -> str:
    """The end of a log, for failure messages."""
    return "\n".join(text(path.read_bytes()).splitlines()[-lines:]) if path.exists() else "(no log)"


class Answer:
    """One HTTP answer, read whole."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


def http_request(
    base: str, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None, timeout: float = 30.0
) -> Answer:
    """One request on a connection of its own. `path` goes on the wire as it is."""
    parts = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def answers(base: str, path: str) -> bool:
    """Whether a server gives any HTTP answer at all."""
    try:
        http_request(base, "GET", path, timeout=5.0)
    except (OSError, http.client.HTTPException):
        return False
    return True


def inbox_files(inbox: Path) -> list[Path]:
    """The finished files of an inbox, oldest first (hidden names are files in the making)."""
    if not inbox.is_dir():
        return []
    return sorted((path for path in inbox.glob("*.json") if not path.name.startswith(".")), key=lambda path: (path.stat().st_mtime_ns, path.name))


def main(program) -> None:
    """Runs `program` and turns a failed check into exit code 1 with its message last."""
    try:
        program()
    except CheckFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr, flush=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 (any other failure is one, too: its last steps are enough)
        traceback.print_exc(limit=-3, chain=False)
        print(f"FAILED: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
