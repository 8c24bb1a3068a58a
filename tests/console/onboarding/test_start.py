"""What has to hold before an instance starts: a database that answers, with its tables, used with the same keys."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError

from console.accounts.models import User
from console.connections import vault
from console.connections.models import Connection
from console.onboarding import migrate, sealing_keys
from console.onboarding.models import SealingKey
from tests import postgres, serving
from tests.commands import REPOSITORY, environment
from tests.patience import at_most

OURS, NEXT, OTHER = ("a" * 40, "b" * 40, "c" * 40)


@pytest.fixture
def keys(settings: Any, db: None) -> Any:
    settings.CREDENTIAL_KEYS = [OURS]
    return settings


def refusal() -> str:
    with pytest.raises(ImproperlyConfigured) as raised:
        sealing_keys.refuse_unfitting()
    return str(raised.value)


def test_the_keys_of_the_first_start_are_those_of_every_later_one(keys: Any) -> None:
    sealing_keys.refuse_unfitting()
    sealing_keys.refuse_unfitting()
    assert SealingKey.objects.count() == 2
    assert OURS not in str(list(SealingKey.objects.values()))
    keys.CREDENTIAL_KEYS = [OTHER]
    assert "used with another TRADELATCH_VAULT_KEYS" in refusal()
    keys.CREDENTIAL_KEYS, keys.SEED_KEYS = [OURS], [OTHER]
    assert "used with another TRADELATCH_SEED_KEYS" in refusal()


def test_a_rotation_passes_in_both_of_its_steps(keys: Any) -> None:
    for step in ([OURS], [NEXT, OURS], [NEXT]):
        keys.CREDENTIAL_KEYS = step
        sealing_keys.refuse_unfitting()


def test_of_two_first_starts_at_once_with_keys_of_their_own_the_second_is_refused(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def after_the_other() -> Iterator[None]:
        sealing_keys.remember(SealingKey.Kind.VAULT_KEYS, {"theirs"})
        yield

    monkeypatch.setattr(migrate, "migration_lock", after_the_other)
    assert "used with another TRADELATCH_VAULT_KEYS" in refusal()


def test_without_fingerprints_the_newest_sealed_row_decides(keys: Any, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(sealed=vault.seal(paper.pk, paper.broker, {"key": "k"}))
    keys.CREDENTIAL_KEYS = [OTHER]
    assert "vault_keys" in refusal()
    assert not SealingKey.objects.exists()
    keys.CREDENTIAL_KEYS = [OURS]
    sealing_keys.refuse_unfitting()


def test_lost_keys_are_given_up_by_an_act_of_its_own(
    keys: Any, owner: User, capsys: pytest.CaptureFixture[str]
) -> None:
    sealing_keys.refuse_unfitting()
    keys.CREDENTIAL_KEYS = [OTHER]
    assert "accept_keys" in refusal()
    call_command("accept_keys")
    assert "link their brokers" in capsys.readouterr().out
    sealing_keys.refuse_unfitting()


def test_a_database_that_is_away_is_waited_for_with_one_line(
    settings: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tried: list[int] = []

    class Away:
        def ensure_connection(self) -> None:
            tried.append(1)
            if len(tried) < 4:
                raise OperationalError("connection refused\nIs the server running?")

    @contextlib.contextmanager
    def direct() -> Iterator[Away]:
        yield Away()

    settings.EMBEDDED_DATABASE = False
    monkeypatch.setattr(migrate, "direct_connection", direct)
    monkeypatch.setattr(migrate, "_ASKED_AGAIN_SECONDS", 0)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    migrate.wait_for_database()
    assert capfd.readouterr().err == "tradelatch: Waiting for the database: connection refused\n"
    tried.clear()
    with pytest.raises(ImproperlyConfigured, match="did not answer within 0 s: connection refused"):
        migrate.wait_for_database(seconds=0)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tl-") as name:
        yield Path(name)


@pytest.mark.long
def test_three_migrations_at_once_of_an_empty_database_all_succeed(folder: Path) -> None:
    with postgres.database(folder / "pg", fsync=False) as url:
        running = [
            subprocess.Popen(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                cwd=REPOSITORY,
                env=environment(folder / f"home-{number}", 8000, TRADELATCH_DATABASE_URL=url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(3)
        ]
        ended = [(each.communicate(timeout=at_most(120))[1], each.returncode) for each in running]
    assert ended == [("", 0)] * 3


@pytest.mark.long
def test_machines_with_keys_of_their_own_cannot_share_a_database_and_a_late_database_is_waited_for(
    folder: Path,
) -> None:
    with postgres.database(folder / "pg", fsync=False) as url:
        first = serving.manage(folder / "one", 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=url)
        assert first.returncode == 0, first.stderr
        second = serving.manage(folder / "two", 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=url)
        assert second.returncode == 1
        assert "used with another TRADELATCH_VAULT_KEYS" in second.stderr
        assert "Traceback" not in second.stderr
    # It is away now.
    ran: list[subprocess.CompletedProcess[str]] = []
    late = threading.Thread(
        target=lambda: ran.append(
            serving.manage(folder / "one", 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=url)
        )
    )
    late.start()
    with postgres.database(folder / "pg", fsync=False):
        late.join(at_most(60))
    (again,) = ran
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["username"] == json.loads(first.stdout)["username"]
