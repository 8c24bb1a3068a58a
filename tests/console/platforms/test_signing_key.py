"""The signing key: made once, private, and the same for every process."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from console.config import instance_dir
from console.platforms import token_signing


def make(folder: Path) -> str:
    return instance_dir.secret(folder, "platform_signing_key", database_exists=False, make=token_signing._generate)


def test_it_is_a_private_key_in_a_private_file(tmp_path: Path) -> None:
    made = make(tmp_path)
    file = tmp_path / "secrets" / "platform_signing_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert ECKey.import_key(json.loads(made)).is_private
    assert make(tmp_path) == made


def test_processes_that_start_together_agree_on_one_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make, [tmp_path] * 8))
    assert len(made) == 1
    assert os.listdir(tmp_path / "secrets") == ["platform_signing_key"]


def test_it_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELATCH_PLATFORM_SIGNING_KEY", token_signing._generate())
    assert ECKey.import_key(json.loads(make(tmp_path))).is_private
    assert not (tmp_path / "secrets").exists()
