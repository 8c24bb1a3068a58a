"""How the instance is: what an operator looks at first when something is slow or silent."""

import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from kombu import Connection
from kombu.exceptions import KombuError

from console.audit import months
from console.audit.models import Record, Seal
from console.audit.seals import canonical, retention, sealing, signing, triggers
from console.outbox.models import OutgoingMail

BACKUP_MARK = "last-backup"
"""A file in the home folder: whoever makes a backup touches it."""
_QUEUE = "celery"
_ANSWERS_WITHIN = 1
"""Seconds."""
_LONG_WAIT = timedelta(seconds=60)
_SECRETS = {
    "secret_key": "Signs sessions",
    "seed_keys": "Encrypts authenticator apps",
    "vault_keys": "Encrypts broker keys",
    "audit_key.pem": "Signs the seals of the record",
}
_PACKAGES = ("django", "mcp", "celery", "ccxt", "cryptography", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    kind: str
    waiting: int | None
    """None: not known."""
    oldest_seconds: float | None = None
    problem: str = ""

    @property
    def is_stuck(self) -> bool:
        return self.oldest_seconds is not None and self.oldest_seconds > _LONG_WAIT.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    kind: str
    version: str
    size: int
    """Bytes."""
    pending: list[str]
    """Migrations that are not applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFigures:
    seals: int
    last_sealed_at: datetime | None
    unsealed: dict[str, int]
    kept: dict[str, int]
    """For how many days; 0: for ever."""
    oldest: dict[str, datetime | None]
    public_key: str
    """In PEM; "" before the first seal."""
    missing_triggers: list[str]
    months_until: datetime | None
    """Calls have a partition of their month until then; None: they are not kept by month."""
    in_no_month: int
    """Calls that have none, at most 1,000."""
    copies_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAge:
    words: str
    since: datetime


def queue() -> QueueState:
    if settings.EMBEDDED_QUEUE:
        # One message each; who counts may see one vanish.
        ages = []
        for file in (settings.HOME / "queue" / "messages").glob("*.msg"):
            try:
                ages.append(time.time() - file.stat().st_mtime)
            except FileNotFoundError:
                continue
        return QueueState(kind="Files", waiting=len(ages), oldest_seconds=max(ages, default=None))
    return _asked(settings.CELERY_BROKER_URL)


def _asked(url: str) -> QueueState:
    """Of a server, by the library that Celery speaks to it with: its client is loaded only where there is one."""
    scheme = url.partition(":")[0]
    kind = "Redis" if scheme in ("redis", "rediss") else scheme
    options = {"socket_timeout": _ANSWERS_WITHIN, "socket_connect_timeout": _ANSWERS_WITHIN}
    with Connection(url, connect_timeout=_ANSWERS_WITHIN, transport_options=options) as server:
        away: tuple[type[BaseException], ...] = (OSError, KombuError, *server.connection_errors)
        try:
            server.ensure_connection(max_retries=1, interval_start=0, timeout=_ANSWERS_WITHIN)
            return QueueState(kind=kind, waiting=_waiting(server))
        except away as error:
            return QueueState(kind=kind, waiting=None, problem=f"It does not answer: {type(error).__name__}.")


def _waiting(server: Connection) -> int:
    try:
        channel: Any = server.default_channel  # the stubs do not know what every channel can do
        return int(channel.queue_declare(_QUEUE, passive=True).message_count)
    except server.channel_errors:  # Redis has no list that is empty
        return 0


def database() -> DatabaseState:
    executor = MigrationExecutor(connection)
    pending = [str(each) for each, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database()), current_setting('server_version')")
            size, version = cursor.fetchone()
        else:
            cursor.execute("SELECT sqlite_version()")
            (version,) = cursor.fetchone()
            size = sum(_size(Path(f"{settings.DATABASES['default']['NAME']}{end}")) for end in ("", "-wal"))
    kind = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    return DatabaseState(kind=kind, version=str(version), size=int(size), pending=pending)


def _unsealed(record: Record) -> int:
    """At most 10,000: that sealing is behind is to be seen, not by how much."""
    return canonical.TABLES[record].objects.filter(pk__gt=sealing.last_sealed(record))[:10_000].values("pk").count()


def record() -> RecordFigures:
    newest = Seal.objects.order_by("-number").defer("leaves").first()
    tables = {each: canonical.TABLES[each].objects for each in Record}
    return RecordFigures(
        seals=newest.number if newest else 0,
        last_sealed_at=newest.sealed_at if newest else None,
        unsealed={each.label: _unsealed(each) for each in Record},
        kept={each.label: retention.kept_days(each) for each in Record}
        | {
            "E-mails": int(settings.KEEP_DAYS["letters"]),
            "Errors": int(settings.KEEP_DAYS["errors"]),
            "Steps of orders": int(settings.KEEP_DAYS["order_events"]),
        },
        oldest={each.label: tables[each].order_by("pk").values_list("at", flat=True).first() for each in Record},
        public_key=signing.pem_of(newest.public_key) if newest else "",
        missing_triggers=triggers.missing(),
        months_until=max((each.until for each in months.partitions() if each.until), default=None),
        in_no_month=months.rows_in_no_month(),
        copies_to=settings.AUDIT_COPY_FILE,
    )


def versions() -> list[tuple[str, str]]:
    found = [("Tradelatch", settings.VERSION), ("Python", platform.python_version())]
    return [*found, *_package_versions()]


@cache
def _package_versions() -> tuple[tuple[str, str], ...]:
    """Those of this process do not change."""
    return tuple((name, metadata.version(name)) for name in _PACKAGES)


def keys() -> list[KeyAge]:
    """Since when each generated secret is what it is, as far as its file tells."""
    folder = settings.HOME / "secrets"
    files = {words: folder / name for name, words in _SECRETS.items()}
    files[_SECRETS["audit_key.pem"]] = Path(settings.AUDIT_KEY_FILE)
    return [KeyAge(words=words, since=_changed(file)) for words, file in files.items() if file.exists()]


def last_backup() -> datetime | None:
    """When the mark was last touched; None where nobody ever did."""
    mark = settings.HOME / BACKUP_MARK
    return _changed(mark) if mark.exists() else None


def letters() -> tuple[int, int]:
    """How many e-mails wait, and how many failed in the last day."""
    emails = OutgoingMail.objects.filter(channel=None)
    failed = emails.filter(failed_at__gte=timezone.now() - timedelta(days=1))
    return emails.filter(sent_at=None, failed_at=None).count(), failed.count()


def _changed(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
