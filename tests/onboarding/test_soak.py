"""Ten seconds of ``make soak``: busy cores, bursts of messages, and files in the queue that are not whole."""

from pathlib import Path

import pytest

from tests import serving, soak

pytestmark = pytest.mark.long


def test_under_noise_no_process_dies_no_effect_is_missing_and_the_terminal_can_be_read(tmp_path: Path) -> None:
    with serving.serve(tmp_path / "home", supervised=True) as server:
        found = soak.soak(server, seconds=10, every=2.5)
    assert found["letters"] >= soak.WRITERS * soak.LETTERS


def test_a_line_that_nobody_expects_is_found() -> None:
    log = "Stopping.\nworker | Traceback (most recent call last):\nThe worker process ended unexpectedly (exit code 1);"
    assert soak.unknown_lines(log) == log.splitlines()[1:]
