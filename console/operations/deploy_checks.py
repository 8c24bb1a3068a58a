"""What ``manage.py check --deploy`` says of an instance that other people are to use."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import Error, connection
from django.utils import timezone

from console.operator import system

_OF_EACH_MACHINE = ("SECRET_KEY", "SEED_KEYS", "VAULT_KEYS", "PUSH_KEY", "PLATFORM_SIGNING_KEY")
_KINDS_OF_PROCESSES = 4
"""Web server, /mcp alone, worker, scheduler: one of each is the least that deploy/ starts. Where more are connected,
they count."""
_BACKUP_EVERY = timedelta(days=7)


@register(Tags.security, deploy=True)
def instance_is_ready_for_others(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    public = urlsplit(settings.PUBLIC_URL)
    found = []
    if not settings.EMBEDDED_DATABASE:
        missing = [name for name in _OF_EACH_MACHINE if not os.environ.get(f"TRADELATCH_{name}")]
        if missing:
            found.append(
                _warning(
                    1,
                    f"The database is shared, but secrets are files of this machine: {', '.join(missing)}.",
                    "Set each as TRADELATCH_…, the same on every machine.",
                )
            )
        if not settings.REDIS_URL:
            found.append(
                _warning(
                    2,
                    "The database is shared, but each process counts calls and failed sign-ins for itself.",
                    "Set TRADELATCH_REDIS_URL.",
                )
            )
        found += _connections()
    if public.scheme != "https":
        found.append(
            _warning(
                3,
                f"The public address is not https: {settings.PUBLIC_URL}.",
                "Set TRADELATCH_PUBLIC_URL to the https address that the proxy in front answers.",
            )
        )
    elif not settings.TRUSTED_PROXIES:
        found.append(
            _warning(
                4,
                "No proxy is trusted: every caller seems to come from the proxy, and failed sign-ins count together.",
                "Set TRADELATCH_TRUSTED_PROXIES to the address of the proxy that ends TLS.",
            )
        )
    if not settings.EMAIL_HOST:
        found.append(_warning(5, "E-mails are written to files, and nobody gets them.", "Set TRADELATCH_SMTP_URL."))
    if Path(settings.AUDIT_KEY_FILE).is_relative_to(settings.HOME):
        found.append(
            _warning(
                6,
                "The key that signs the record is in the home folder: who changes the record can sign it again.",
                "Put it elsewhere and set TRADELATCH_AUDIT_KEY, or copy seals to another computer "
                "(TRADELATCH_AUDIT_COPY).",
            )
        )
    saved = system.last_backup()
    if saved is None or timezone.now() - saved > _BACKUP_EVERY:
        said = "There was never a backup" if saved is None else f"The last backup is from {saved:%Y-%m-%d}"
        found.append(_warning(7, f"{said}.", "Run manage.py backup every day, and try a restore."))
    return found


def _connections() -> list[CheckMessage]:
    size = connection.settings_dict["OPTIONS"]["pool"]["max_size"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int,"
                " (SELECT count(DISTINCT application_name) FROM pg_stat_activity"
                " WHERE datname = current_database() AND starts_with(application_name, %s))",
                [settings.DATABASE_NAMES],
            )
            free, seen = cursor.fetchone()
    except Error as error:
        return [_warning(8, f"The database does not answer: {type(error).__name__}.", "Start it, and check again.")]
    processes = max(_KINDS_OF_PROCESSES, seen - 1)  # one of those seen is this one
    if free >= size * processes:
        return []
    return [
        _warning(
            9,
            f"PostgreSQL allows {free} connections: {processes} processes with a pool of {size} can take "
            f"{size * processes}.",
            "Raise max_connections to at least the number of processes times the pool, or lower "
            "TRADELATCH_DATABASE_POOL.",
        )
    ]


def _warning(number: int, said: str, hint: str) -> CheckMessage:
    return Warning(said, hint=hint, id=f"tradelatch.W{number:03d}")
