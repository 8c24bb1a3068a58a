"""A day's noise, short: the default instance with every core busy and bursts of messages. Nothing may die or be lost.

``python -m tests.soak --minutes 30``. Every burst writes letters and orders that lapse, nudges the worker from two
processes at once, and drops files into the queue as a writer does that is slow or was killed. At the end every letter
is there once, every order has lapsed, no process was started twice, and the terminal holds nothing but known lines.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests import serving
from tests.patience import at_most
from tests.serving import REPOSITORY, Server, until

PAST = "2020-01-01 00:00:00"
LETTERS, MESSAGES, WRITERS = 20, 60, 2
"""Of each writer in each burst."""
SETTLES_SECONDS = 60.0

_CHILD = r"^ *(?:web|worker|beat) \| (?:\[[^\]]+\] |[\d-]+ [\d:,]+ WARNING \S+: )?"
KNOWN = [
    re.compile(pattern)
    for pattern in (
        r"^$",
        r"^Tradelatch is running\. Ctrl-C stops it\.$",
        r"^(?:Console|Sign in as|Password|MCP address|API keys) +\S.*$",
        r"^Connect an assistant, for example Claude Code:$",
        r"^  claude mcp add --transport http tradelatch \S+$",
        r"^Stopping\.$",
        r"^worker \| worker: Warm shutdown \(MainProcess\)$",
        _CHILD + r"The e-mail to \S+ is in \S+: no mail server is set\. \(run_\w+\)$",
        _CHILD + r"A message in the queue cannot be read \(\w+\); it was moved to \S+$",
    )
]
"""Every line that a person may find in the terminal of an instance that is well."""


def unknown_lines(log: str) -> list[str]:
    return [line for line in log.splitlines() if not any(kind.match(line) for kind in KNOWN)]


def soak(server: Server, *, seconds: float, every: float) -> dict[str, int | float]:
    """Bursts until the time is over, then what became of them. Raises AssertionError with what is missing."""
    orders: list[str] = []
    torn = 0
    deadline = time.monotonic() + seconds
    bursts = 0
    with _busy():
        while time.monotonic() < deadline:
            bursts += 1
            next_at = time.monotonic() + every
            writers = [_writer(server, f"{bursts}.{number}") for number in range(WRITERS)]
            _drop_like_a_slow_writer(server.home / "queue" / "messages", bursts)
            torn += 1
            orders.append(_order_that_lapses(server))
            for writer in writers:
                _, said = writer.communicate(timeout=at_most(120))
                assert writer.returncode == 0, said.decode()
            time.sleep(max(0.0, min(next_at, deadline) - time.monotonic()))
    letters = bursts * WRITERS * LETTERS
    until(lambda: _waiting(server) == 0, seconds=SETTLES_SECONDS, what="every letter is sent")
    until(lambda: _open(server, orders) == 0, seconds=SETTLES_SECONDS, what="every order nobody confirmed has lapsed")
    written = Counter(
        file.read_text().splitlines()[1].removeprefix("Subject: ") for file in (server.home / "letters").glob("*.txt")
    )
    assert len(written) == letters, f"{letters - len(written)} of {letters} letters are missing"
    assert set(written.values()) == {1}, "letters were sent more than once"
    aside = server.home / "queue" / "unreadable"
    until(lambda: len(list(aside.glob("*"))) == torn, seconds=60, what="what can never be read was moved aside")
    [(slowest,)] = server.query(
        "SELECT max((julianday(sent_at) - julianday(created_at)) * 86400) FROM outbox_outgoingmail"
    )
    assert server.stop() == 0
    strange = unknown_lines(server.log)
    assert not strange, "lines nobody expects in the terminal:\n" + "\n".join(strange[:40])
    return {
        "seconds": round(seconds),
        "bursts": bursts,
        "messages": bursts * WRITERS * MESSAGES,
        "letters": letters,
        "orders_lapsed": len(orders),
        "unreadable_files": torn,
        "slowest_letter_seconds": round(float(slowest), 1),
        "lines": len(server.log.splitlines()),
        "worker_deaths": 0,
        "missing_effects": 0,
    }


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _writer(server: Server, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.soak", "--burst", name, "--owner", server.quickstart["username"]],
        cwd=REPOSITORY,
        env=serving.environment(server.home, server.port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _drop_like_a_slow_writer(folder: Path, number: int) -> None:
    """One file that is finished a moment later, and one that never is: its writer was killed."""
    whole = json.dumps({"body": "", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "x"}})
    (folder / f"0_killed{number}.celery.msg").write_text(whole[: len(whole) // 2])
    slow = folder / f"0_slow{number}.celery.msg"
    slow.touch()
    # Becomes whole, and is the shape of a message: the worker may take it at any moment from here on.
    finishing = threading.Timer(0.3, _finish, [slow])
    finishing.start()


def _finish(slow: Path) -> None:
    if not slow.exists():
        return
    draft = {
        "body": "W1tdLCB7fSwge31d",  # [[], {}, {}]
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "console.orders.tasks.sweep", "id": slow.name, "lang": "py"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "delivery_tag": slow.name,
            "correlation_id": slow.name,
        },
    }
    slow.write_text(json.dumps(draft))


def _order_that_lapses(server: Server) -> str:
    arguments = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "place_order", "arguments": arguments},
    }
    headers = {
        "Authorization": f"Bearer {server.quickstart['paper_key_trade']}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
    }
    answer = httpx2.post(server.mcp_url, json=call, headers=headers, timeout=at_most(60))
    prepared = answer.json()["result"]["structuredContent"]
    server.query("UPDATE orders_confirmation SET expires_at = ? WHERE public_id = ?", PAST, prepared["confirmation_id"])
    return str(prepared["order"]["order_id"])


def _open(server: Server, orders: list[str]) -> int:
    rows = server.query("SELECT public_id FROM orders_order WHERE status != 'lapsed'")
    return len({row[0] for row in rows} & set(orders))


def _waiting(server: Server) -> int:
    [(count,)] = server.query("SELECT count(*) FROM outbox_outgoingmail WHERE sent_at IS NULL")
    return int(count)


def _burst(name: str, owner: str) -> None:
    """In a process of its own: rows, and messages that nudge, most of them for nothing."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"

    import django

    django.setup()

    from console.accounts.models import User
    from console.celery import app
    from console.outbox import mailer
    from console.outbox.models import OutgoingMail

    user = User.objects.get(email=owner)
    for number in range(LETTERS):
        mailer.enqueue(user, OutgoingMail.Kind.GRANT, mailer.Email(f"Soak {name}.{number}", "Nothing to do."))
    tasks = itertools.cycle(
        ["console.outbox.tasks.send_due", "console.orders.tasks.sweep", "brokers.paper.tasks.match_resting"]
    )
    for task in itertools.islice(tasks, MESSAGES):
        app.send_task(task, expires=60)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=30.0)
    asked.add_argument("--every", type=float, default=10.0, help="seconds from one burst to the next")
    asked.add_argument("--burst", help=argparse.SUPPRESS)
    asked.add_argument("--owner", help=argparse.SUPPRESS)
    chosen = asked.parse_args()
    if chosen.burst:
        _burst(chosen.burst, chosen.owner)
        return
    with tempfile.TemporaryDirectory(prefix="tradelatch-soak-") as folder:
        os.environ["TRADELATCH_HOME"] = folder
        with serving.serve(Path(folder) / "home", supervised=True) as server:
            try:
                found = soak(server, seconds=chosen.minutes * 60, every=chosen.every)
            except BaseException:
                # The home goes when this ends: what is needed to tell why is said now.
                code = None if server.process is None else server.process.poll()
                sys.stderr.write(f"exit code of the instance: {code}; its log ends:\n{server.log[-4000:]}\n")
                raise
    for what, value in found.items():
        sys.stdout.write(f"{what.replace('_', ' ')}: {value}\n")


if __name__ == "__main__":
    main()
