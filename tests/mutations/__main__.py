"""make mutations: prints fields, mutations and survivors of each broker, and ends with an error where any survived.

``BROKER=okx make mutations`` for one. Each broker has a process of its own. A run over all of them in which none
survived writes docs/develop/mutations.md.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations import page
from tests.mutations.plugin import Plugin
from tests.mutations.wires import WIRES

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "brokers"
_CRYPTO = ("okx", "binance", "kraken", "krakenfutures", "coinbase")


def _tests_of(broker: str) -> list[str]:
    shared = ["contract", *(["crypto"] if broker in _CRYPTO else [])]
    return [str(TESTS / each) for each in (broker, *shared)]


def _run(broker: str, only: str) -> Plugin:
    plugin = Plugin(broker=broker, only=only)
    options = [
        "-q",
        "-s",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    code = pytest.main([*options, *_tests_of(broker)], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not plugin.fields:
        raise SystemExit(f"The tests of {broker} could not be run: {code!r}")
    return plugin


def _alone(broker: str, only: str) -> dict[str, int]:
    """In this process; the last line of its output is the sum."""
    ran = _run(broker, only)
    sys.stdout.writelines(f"  failed before any mutation: {each}\n" for each in ran.failed_before)
    sums = {"fields": ran.fields, "mutations": ran.mutations, "survivors": len(ran.survivors)}
    sys.stdout.writelines(f"  SURVIVED {each.field.call} {each.field.name}, {each.kind}\n" for each in ran.survivors)
    sys.stdout.write(json.dumps(sums) + "\n")
    return sums


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("--alone", default="", choices=["", *WIRES])
    asked.add_argument("--only", default="", help="a part of the name of the fields to try")
    given = asked.parse_args()
    if given.alone:
        return min(_alone(given.alone, given.only)["survivors"], 1)
    chosen = os.environ.get("BROKER", "").split() or list(WIRES)
    sums = dict[str, dict[str, int]]()
    for broker in chosen:
        sys.stdout.write(f"\n{broker}\n")
        command = [sys.executable, "-m", "tests.mutations", "--alone", broker, "--only", given.only]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            last = ""
            for line in process.stdout:
                last = line
                if line.startswith("  "):
                    sys.stdout.write(line)
                    sys.stdout.flush()
        if not last.startswith("{"):
            raise SystemExit(f"The run of {broker} broke off: {last}")
        sums[broker] = json.loads(last)
    survivors = sum(told["survivors"] for told in sums.values())
    sys.stdout.write("\n" + page.table(sums))
    if set(sums) == set(WIRES) and not survivors and not given.only:
        page.write(sums)
    return min(survivors, 1)


if __name__ == "__main__":
    sys.exit(main())
