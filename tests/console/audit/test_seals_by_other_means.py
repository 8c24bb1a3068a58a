"""The seals by the words of docs/operate/sealed-record.md: RFC 8785 by a library, rows by SQL, nothing of ours."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import CallOutcome
from console.audit.seals import sealing

pytestmark = pytest.mark.django_db

TABLES = {"calls": "audit_call", "changes": "audit_change"}
ODD: dict[str, Any] = {
    "symbol": "BRK.B",
    "note": "Grüße, 日本 \u2028 \"'<&>\\ \x7f",
    "many": [1, -7, 2**53 - 1, None, True, {}],
    "": "0.10",
}


@pytest.fixture(autouse=True)
def key(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_KEY_FILE = str(tmp_path / "audit_key.pem")


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    call_command("audit_seals", *options)
    return capsys.readouterr().out


def rows(table: str, first: int, last: int) -> list[dict[str, Any]]:
    found = []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE id BETWEEN %s AND %s ORDER BY id", [first, last])  # noqa: S608
        names = [column[0] for column in cursor.description]
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            del row["id"]
            checked_as_json = {"arguments", "detail", "before", "after"} & row.keys()
            row |= {name: json.loads(row[name]) for name in checked_as_json if row[name] is not None}
            row |= {
                name: f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
                for name, value in row.items()
                if isinstance(value, datetime)
            }
            found.append(row)
    return found


def tagged(words: str, content: bytes) -> bytes:
    return hashlib.sha256(f"{words} {len(content)}\n".encode() + content).digest()


def test_whoever_reads_the_docs_can_check_every_seal(owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        entry = audit_log.Entry(request_id=f"req_{number}", outcome=CallOutcome.OK, duration_us=7, arguments=ODD)
        audit_log.record_call(entry)
    audit_log.record_change(owner, "policy changed", "connection", 1, "Grüße", before={"policy": None}, after=ODD)
    assert sealing.seal_due(timezone.now() + timedelta(minutes=2)) == 2

    public = serialization.load_pem_public_key(printed(capsys, "--public-key").encode())
    assert isinstance(public, Ed25519PublicKey)
    previous, seen = "", set()
    for line in printed(capsys).splitlines():
        seal = json.loads(line)
        content = rfc8785.dumps({name: value for name, value in seal.items() if name not in ("digest", "signature")})
        signed = f"tradelatch seal {len(content)}\n".encode() + content
        public.verify(base64.b64decode(seal["signature"]), signed)
        assert hashlib.sha256(signed).hexdigest() == seal["digest"]
        assert seal["previous"] == previous
        previous = seal["digest"]
        record, table = seal["record"], TABLES[seal["record"]]
        hashes = [
            tagged(f"tradelatch row {record} 2", rfc8785.dumps(row))
            for row in rows(table, seal["first_id"], seal["last_id"])
        ]
        assert len(hashes) == seal["rows"]
        assert tagged("tradelatch leaves", b"".join(hashes)).hex() == seal["root"]
        seen.add(record)
    assert seen == set(TABLES)
