"""An installed package keeps its data in the person's folder, and says so where there is none."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.config import instance_dir


def test_data_is_kept_in_the_folder_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert instance_dir.own_data() == tmp_path / ".local/share/tradelatch"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert instance_dir.own_data() == tmp_path / "data/tradelatch"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(ImproperlyConfigured, match="set TRADELATCH_HOME"):
        instance_dir.own_data()
