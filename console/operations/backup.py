"""A backup is a folder: a copy of the database, the secrets in a folder of their own, and a manifest with digests."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from console.config import instance_dir
from console.onboarding import migrate
from console.operations import postgresql_copy
from console.operations.backup_error import BackupError
from console.operator.system import BACKUP_MARK

MANIFEST = "manifest.json"
SECRETS = "secrets"
_FORMAT = 1
_SQLITE, _POSTGRESQL = "database.sqlite3", "database.pgdump"
_SECRET_NAMES = ("secret_key", "seed_keys", "vault_keys", "push_key", "platform_signing_key")
_NAME = "name"
"""The file with the instance's name on its own computer, to which passkeys belong."""
_OF_A_BACKUP = re.compile(rf"{re.escape(_SQLITE)}|{re.escape(_POSTGRESQL)}|{_NAME}|{SECRETS}/[^./\\][^/\\]*")
"""A manifest that names others would have them written where programs of this person look."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. Files by their path in it, with the SHA-256 of each."""

    format: int
    made_at: str
    version: str
    kind: str
    """sqlite or postgresql."""
    migrations: list[str]
    counts: dict[str, int]
    files: dict[str, str]
    secrets_elsewhere: list[str]
    """Secrets that the instance had from its environment, or that were left out."""


def make(folder: Path, *, with_secrets: bool = True) -> Manifest:
    """Copy the instance into a new ``folder`` while it runs. Raises BackupError; then nothing is left behind."""
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty: name a folder that does not exist yet.")
    making = folder.with_name(f".{folder.name}.{os.getpid()}.making")
    try:
        making.mkdir(mode=0o700, parents=True)
        manifest = _fill(making, with_secrets)
        (making / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
        for file in [*making.rglob("*")]:
            _sync(file)
        making.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise BackupError(f"The backup could not be written to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    (settings.HOME / BACKUP_MARK).touch()
    return manifest


def _fill(folder: Path, with_secrets: bool) -> Manifest:
    if settings.EMBEDDED_DATABASE:
        database = folder / _SQLITE
        migrations, counts = _copy_sqlite(_sqlite_file(), database)
    else:
        database = folder / _POSTGRESQL
        migrations, counts = postgresql_copy.dump(database)
    files = [database]
    if (settings.HOME / _NAME).exists():
        files.append(Path(shutil.copy(settings.HOME / _NAME, folder / _NAME)))
    elsewhere = [name for name in _SECRET_NAMES if os.environ.get(f"TRADELATCH_{name.upper()}")]
    own = settings.HOME / SECRETS
    kept = [file for file in sorted(own.iterdir()) if not file.name.startswith(".")] if own.exists() else []
    if with_secrets:
        (folder / SECRETS).mkdir(mode=0o700)
        files += [Path(shutil.copy(file, folder / SECRETS / file.name)) for file in kept if file.name not in elsewhere]
        if Path(settings.AUDIT_KEY_FILE).parent != own:
            elsewhere.append(settings.AUDIT_KEY_FILE)
    else:
        elsewhere = sorted({*elsewhere, *(file.name for file in kept)})
    return Manifest(
        format=_FORMAT,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=settings.VERSION,
        kind=connection.vendor,
        migrations=migrations,
        counts=counts,
        files={str(file.relative_to(folder)): _digest(file) for file in files},
        secrets_elsewhere=elsewhere,
    )


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    aside: str
    """Where what was there before is now; "" where there was nothing."""
    with_secrets: bool


def restore(folder: Path, *, replace: bool = False) -> Restored:
    """Put a backup in the place of this instance, which must not run. Raises BackupError; then nothing has changed.

    With ``replace`` what is there is kept: files in a folder ``replaced-…`` of the home, tables of PostgreSQL in a
    schema of that name.
    """
    manifest = read_manifest(folder)
    home: Path = settings.HOME
    with_secrets = any(name.startswith(f"{SECRETS}/") for name in manifest.files)
    aside = f"replaced_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    try:
        with migrate.instance_lock(home):
            if settings.EMBEDDED_DATABASE:
                _refuse_used_sqlite(_sqlite_file())
            files = _files_of_home(with_secrets)
            if files and not replace:
                raise BackupError(
                    f"There is an instance already: {files[0]}. Set TRADELATCH_HOME to a new folder, or add --replace: "
                    "what is there is then moved aside."
                )
            staging = home / f".restoring-{os.getpid()}"
            copy: Path | None = None
            was_there = bool(files)
            try:
                # All that takes room on the disk comes before anything is moved.
                staged = _stage(folder, manifest, staging)
                if settings.EMBEDDED_DATABASE:
                    copy = _checked_copy(folder / _SQLITE, manifest)
                    _swap(files, home / aside, staged | {copy: _sqlite_file()})
                else:
                    was_there |= postgresql_copy.restore(
                        folder / _POSTGRESQL,
                        manifest.counts,
                        aside=aside if replace else "",
                        then=lambda: _swap(files, home / aside, staged),
                    )
            finally:
                shutil.rmtree(staging, ignore_errors=True)
                if copy is not None:
                    copy.unlink(missing_ok=True)
    except BlockingIOError as error:
        raise BackupError(f"Tradelatch is running with {home}: stop it first.") from error
    except OSError as error:
        raise BackupError(f"{error.filename or home}: {error.strerror or error}.") from error
    return Restored(manifest, aside if was_there else "", with_secrets)


def read_manifest(folder: Path) -> Manifest:
    """Of a backup that is whole and that this version can read. Raises BackupError."""
    try:
        told = json.loads((folder / MANIFEST).read_text())
        manifest = Manifest(**told)
        if not all(isinstance(each, str) for each in (*manifest.files, *manifest.files.values(), *manifest.migrations)):
            raise ValueError
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {MANIFEST} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BackupError(f"{folder / MANIFEST} is damaged, or of a newer version.") from error
    known = {f"{app}.{name}" for app, name in migrate.known_migrations()}
    unknown = [each for each in manifest.migrations if each not in known]
    if manifest.format != _FORMAT or unknown:
        which = f": it has the migration {unknown[0]}" if unknown else ""
        raise BackupError(
            f"The backup is of version {manifest.version}, newer than this one ({settings.VERSION}){which}. "
            "Restore it with that version."
        )
    if manifest.kind != connection.vendor:
        raise BackupError(
            f"The backup's database is {manifest.kind}, and this instance uses {connection.vendor}. Restore it with "
            "the settings it was made with; export_data and import_data bring data from one to the other."
        )
    for name, digest in manifest.files.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise BackupError(f"{folder / MANIFEST} names a file outside the backup: {name}.")
        if not _OF_A_BACKUP.fullmatch(name):
            raise BackupError(f"{folder / MANIFEST} names a file that no backup has: {name}.")
        if not file.is_file():
            raise BackupError(f"The backup is not complete: {file} is missing.")
        if _digest(file) != digest:
            raise BackupError(f"The backup is damaged: {file} is not what was saved.")
    if (_SQLITE if settings.EMBEDDED_DATABASE else _POSTGRESQL) not in manifest.files:
        raise BackupError(f"The backup is not complete: {folder / MANIFEST} names no database.")
    return manifest


def _sqlite_file() -> Path:
    return Path(str(settings.DATABASES["default"]["NAME"]))


def _copy_sqlite(source: Path, target: Path) -> tuple[list[str], dict[str, int]]:
    """One moment of the database, while others read and write it."""
    if not source.exists():
        raise BackupError(f"There is nothing to back up: {source} does not exist.")
    try:
        with contextlib.closing(sqlite3.connect(source, timeout=20, isolation_level=None)) as database:
            # Not Connection.backup, which begins anew whenever somebody writes.
            database.execute("VACUUM INTO ?", [str(target)])
        with contextlib.closing(sqlite3.connect(target)) as copy:
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise BackupError(f"{source} is damaged: {found}.")
            return _contents(copy)
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}.") from error


def _contents(database: sqlite3.Connection) -> tuple[list[str], dict[str, int]]:
    """Its migrations, and how many rows each table has."""
    tables = [
        name
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    if "django_migrations" not in tables:
        raise BackupError("It is no database of Tradelatch: run manage.py migrate first.")
    applied = [f"{app}.{name}" for app, name in database.execute("SELECT app, name FROM django_migrations ORDER BY id")]
    counts = {
        name: int(database.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0])  # noqa: S608  names of tables that are there
        for name in tables
    }
    return applied, counts


def _refuse_used_sqlite(file: Path) -> None:
    """A process that has the file open would go on writing to what was moved aside. Raises BackupError."""
    if not file.exists():
        return
    with contextlib.closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as database:
        try:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise BackupError(f"A process uses {file}: stop every web server, worker and scheduler first.") from error
        except sqlite3.DatabaseError:
            # Damaged, which is why somebody restores.
            return


def _checked_copy(source: Path, manifest: Manifest) -> Path:
    """The database beside where it belongs, compared row count by row count. Raises BackupError."""
    copy = _sqlite_file().with_name(f".restoring-{os.getpid()}.sqlite3")
    try:
        shutil.copyfile(source, copy)
        _sync(copy)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            if _contents(database)[1] != manifest.counts:
                raise BackupError("The database of the backup has other rows than its manifest says.")
    except (BackupError, OSError, sqlite3.Error) as error:
        copy.unlink(missing_ok=True)
        raise BackupError(str(error)) from error
    return copy


def _files_of_home(with_secrets: bool) -> list[Path]:
    """What a restore puts something else in the place of."""
    home: Path = settings.HOME
    found = [home / _NAME]
    if settings.EMBEDDED_DATABASE:
        found += [Path(f"{_sqlite_file()}{end}") for end in ("", "-wal", "-shm")]
    if with_secrets and (home / SECRETS).exists():
        found += sorted((home / SECRETS).iterdir())
    return [each for each in found if each.exists() and each not in instance_dir.MADE]


def _stage(folder: Path, manifest: Manifest, staging: Path) -> dict[Path, Path]:
    """Copies of the files of the home, by where each is to go."""
    shutil.rmtree(staging, ignore_errors=True)  # in a container, one that was killed had the same number
    staging.mkdir(mode=0o700)
    staged = {}
    for number, name in enumerate(manifest.files):
        if name not in (_SQLITE, _POSTGRESQL):
            copy = staging / str(number)
            shutil.copyfile(folder / name, copy)
            copy.chmod(0o600)
            _sync(copy)
            staged[copy] = settings.HOME / name
    return staged


def _swap(files: list[Path], aside: Path, staged: dict[Path, Path]) -> None:
    """Move ``files`` aside and what is staged to its place. Raises OSError; then each is where it was."""
    home: Path = settings.HOME
    for made in instance_dir.MADE:  # by reading the settings of this command: they fit nothing
        made.unlink(missing_ok=True)
    moves = [(file, aside / (file.relative_to(home) if file.is_relative_to(home) else file.name)) for file in files]
    done: list[tuple[Path, Path]] = []
    try:
        for source, place in [*moves, *staged.items()]:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(source, place)
            done.append((source, place))
    except BaseException:  # Ctrl-C too
        for source, place in reversed(done):
            shutil.move(place, source)
        raise
    for changed in {place.parent for place in staged.values()}:
        _sync(changed)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
