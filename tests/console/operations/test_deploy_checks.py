"""``check --deploy`` names what is missing for an instance that others use, and nothing where all is set."""

import os
from pathlib import Path
from typing import Any

import pytest

from console.ip_addresses import parse_networks
from console.operations import deploy_checks

pytestmark = pytest.mark.django_db


def found() -> set[str]:
    return {str(each.id).removeprefix("tradelatch.") for each in deploy_checks.instance_is_ready_for_others()}


@pytest.fixture
def complete(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.HOME = tmp_path
    (tmp_path / "last-backup").touch()
    settings.PUBLIC_URL = "https://desk.example.com"
    settings.TRUSTED_PROXIES = parse_networks("10.0.0.1")
    settings.EMAIL_HOST = "mail.example.com"
    settings.AUDIT_KEY_FILE = "/etc/tradelatch/audit_key.pem"
    return settings


def test_nothing_is_said_where_all_is_set(complete: Any) -> None:
    assert found() == set()


def test_each_thing_that_is_missing_is_named(complete: Any, tmp_path: Path) -> None:
    complete.TRUSTED_PROXIES = ()
    assert found() == {"W004"}
    complete.PUBLIC_URL = "http://desk.example.com"
    assert found() == {"W003"}
    complete.PUBLIC_URL, complete.TRUSTED_PROXIES = "https://desk.example.com", parse_networks("10.0.0.1")
    complete.EMAIL_HOST = ""
    assert found() == {"W005"}
    complete.AUDIT_KEY_FILE = str(tmp_path / "secrets" / "audit_key.pem")
    assert found() == {"W005", "W006"}
    os.utime(tmp_path / "last-backup", (0, 0))
    assert found() == {"W005", "W006", "W007"}
    (tmp_path / "last-backup").unlink()
    assert found() == {"W005", "W006", "W007"}


class Server:
    """A PostgreSQL that allows 97 connections."""

    def __init__(self, pool: int, processes: int = 4) -> None:
        self.processes = processes
        self.settings_dict = {"OPTIONS": {"pool": {"max_size": pool}}}

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    cursor = __enter__

    def execute(self, sql: str, given: list[str]) -> None:
        assert "max_connections" in sql and given == ["tradelatch "]

    def fetchone(self) -> tuple[int, int]:
        return 97, self.processes + 1  # and the one that checks


def test_a_shared_database_needs_shared_secrets_redis_and_enough_connections(
    complete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete.EMBEDDED_DATABASE = False
    monkeypatch.setattr(deploy_checks, "connection", Server(pool=16))
    assert found() == {"W001", "W002"}
    for name in ("SECRET_KEY", "SEED_KEYS", "VAULT_KEYS", "PUSH_KEY", "PLATFORM_SIGNING_KEY"):
        monkeypatch.setenv(f"TRADELATCH_{name}", "x")
    complete.REDIS_URL = "redis://redis"
    assert found() == set()
    monkeypatch.setattr(deploy_checks, "connection", Server(pool=40))
    assert found() == {"W009"}
    monkeypatch.setattr(deploy_checks, "connection", Server(pool=6, processes=16))
    assert found() == set()
    monkeypatch.setattr(deploy_checks, "connection", Server(pool=7, processes=16))
    assert found() == {"W009"}
