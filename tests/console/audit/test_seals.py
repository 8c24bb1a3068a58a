"""When the record is sealed, what a seal covers, where copies go, and what the pages are told."""

import hashlib
import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from console.audit import log as audit_log
from console.audit.models import Call, CallOutcome, Change, Record, Seal, Verification
from console.audit.seals import canonical, copies, retention, sealing, signing, state, triggers, verifying

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=2)
PAST = timedelta(days=62)
"""Thirty days kept, and a whole month: on PostgreSQL calls go by the month."""


@pytest.fixture(autouse=True)
def key(settings: Any, tmp_path: Path) -> Path:
    file = tmp_path / "keys" / "audit_key.pem"
    settings.AUDIT_KEY_FILE = str(file)
    return file


def calls(count: int = 1) -> None:
    for _ in range(count):
        number = Call.objects.count()
        audit_log.record_call(
            audit_log.Entry(request_id=f"req_{number}", outcome=CallOutcome.OK, duration_us=1, tool="get_quote")
        )


def seal_all() -> int:
    return sealing.seal_due(timezone.now() + LATER)


def test_a_row_is_sealed_a_minute_later_or_with_its_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SIZE", 3)
    calls(4)
    assert sealing.seal_due() == 1
    assert sealing.seal_due(timezone.now() + timedelta(seconds=30)) == 0
    assert seal_all() == 1
    assert [(seal.number, seal.first_id, seal.rows) for seal in Seal.objects.order_by("number")] == [
        (1, 1, 3),
        (2, Call.objects.order_by("pk")[2].pk + 1, 1),
    ]


def test_the_first_row_of_an_old_record_is_sealed_too_and_each_record_has_ranges_of_its_own() -> None:
    calls(2)
    audit_log.record_change(None, "paused", "app", 1, before={"paused": False})
    assert seal_all() == 2
    assert {seal.record: seal.rows for seal in Seal.objects.all()} == {"calls": 2, "changes": 1}
    assert verify().problem is None


def test_every_field_of_a_row_is_covered() -> None:
    for record in Record:
        table = canonical.TABLES[record]
        fields = {field.attname for field in table._meta.concrete_fields} - {"id"}
        assert set(canonical.FIELDS[canonical.FORM][record]) == fields, "a new field takes a new form"


def test_a_leaf_can_be_computed_by_anybody_who_has_the_row() -> None:
    audit_log.record_change(None, "paused", "app", 7, "Claude", before={"ä": "\u2028", "b": [True, None, 3]})
    row = Change.objects.get()
    at = row.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    told = {name: getattr(row, name) for name in canonical.FIELDS[2]["changes"]} | {"at": at}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    seal_all()
    leaf = hashlib.sha256(f"tradelatch row changes 2 {len(text)}\n".encode() + text).digest()
    assert bytes(Seal.objects.get().leaves) == leaf


def test_a_seal_from_before_the_newest_form_still_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "FORM", 1)
    calls(2)
    audit_log.record_change(None, "paused", "app", 1)
    assert seal_all() == 2
    monkeypatch.undo()
    calls(2)
    assert seal_all() == 1
    assert sorted(Seal.objects.values_list("form", flat=True)) == [1, 1, 2]
    assert verify().problem is None


@pytest.mark.parametrize("column", ["trace_id", "session_id", "client_name", "client_version", "upstream_request_id"])
def test_a_change_of_what_is_known_of_the_client_is_named(column: str) -> None:
    calls(3)
    seal_all()
    second = Call.objects.order_by("pk")[1].pk
    triggers.remove()
    Call.objects.filter(pk=second).update(**{column: "made up"})
    problem = verify().problem
    assert problem is not None and (problem.what, problem.row) == ("changed", second)


def test_the_key_is_made_at_the_first_seal_for_nobody_else_to_read(key: Path) -> None:
    assert not key.exists()
    calls()
    seal_all()
    assert key.stat().st_mode & 0o777 == 0o600
    assert Seal.objects.get().public_key in signing.own_public_keys()


def test_a_key_that_is_gone_is_not_made_again(key: Path) -> None:
    calls()
    seal_all()
    key.unlink()
    calls()
    with pytest.raises(ImproperlyConfigured, match="missing"):
        seal_all()


def test_a_key_that_was_changed_is_trusted_while_its_public_half_stands_in_the_file(key: Path) -> None:
    calls()
    seal_all()
    old, new = key.read_bytes(), Ed25519PrivateKey.generate()
    pem = new.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(pem)
    calls()
    seal_all()
    problem = verify().problem
    assert problem is not None and problem.what == "seal_unsigned"
    key.write_bytes(pem + signing.pem_of(Seal.objects.get(number=1).public_key).encode())
    assert verify().problem is None
    assert old != pem


def test_new_seals_are_put_at_the_end_of_a_file_also_after_a_line_was_cut_off(settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "seals.ndjson"
    settings.AUDIT_COPY_FILE = str(file)
    for _ in range(2):
        calls()
        seal_all()
    with file.open("a") as handle:
        handle.write('{"number": 3, "cut')
    calls()
    seal_all()
    lines = file.read_text().splitlines()
    assert [json.loads(lines[at])["number"] for at in (0, 1, 3)] == [1, 2, 3]
    assert json.loads(lines[0]) == json.loads(copies.line_of(Seal.objects.get(number=1)))
    call_command("audit_verify", "--seals", str(file))
    with file.open("a") as handle:
        handle.write('{"number": 4, "cut')
    call_command("audit_verify", "--seals", str(file))


def test_a_cut_off_line_hides_no_seal_of_a_copy(settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "seals.ndjson"
    settings.AUDIT_COPY_FILE = str(file)
    for _ in range(3):
        calls()
        seal_all()
    lines = file.read_text().splitlines()
    lines[1] = lines[1][:40]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(CommandError, match="Line 2 is not a copy of a seal"):
        call_command("audit_verify", "--seals", str(file))


def test_a_file_that_cannot_be_written_keeps_nothing_from_being_sealed(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_COPY_FILE = str(tmp_path / "nowhere" / "seals.ndjson")
    calls()
    assert seal_all() == 1


def test_a_file_that_is_no_copy_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("hello\n")
    with pytest.raises(CommandError, match="Line 1 is not a copy of a seal"):
        call_command("audit_verify", "--seals", str(file))


def test_rows_are_kept_for_ever_unless_the_settings_say_a_number_of_days(settings: Any) -> None:
    calls(2)
    seal_all()
    assert retention.drop_old(timezone.now() + timedelta(days=10_000)) == 0
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "calls": 30}
    assert retention.drop_old(timezone.now() + timedelta(days=29)) == 0
    assert retention.drop_old(timezone.now() + PAST) == 2
    assert retention.drop_old(timezone.now() + PAST) == 0


def test_rows_that_go_while_the_record_is_checked_are_not_told_as_missing(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "calls": 30}
    check, gone = verifying._check_rows, list[int]()

    def check_rows(seal: Seal) -> None:
        if not gone:
            gone.append(retention.drop_old(timezone.now() + PAST))
        check(seal)

    for _ in range(2):
        calls(2)
        seal_all()
    monkeypatch.setattr(verifying, "_check_rows", check_rows)
    found = verifying.verify(signing.own_public_keys())
    assert (gone, found.problem, found.dropped, found.rows) == ([4], None, 4, 0)


def test_rows_that_go_without_a_marker_while_it_is_checked_are(monkeypatch: pytest.MonkeyPatch) -> None:
    calls(2)
    seal_all()
    check, first = verifying._check_rows, Call.objects.order_by("pk")[0].pk

    def check_rows(seal: Seal) -> None:
        triggers.remove()
        Call.objects.filter(pk=first).delete()
        check(seal)

    monkeypatch.setattr(verifying, "_check_rows", check_rows)
    found = verifying.verify(signing.own_public_keys())
    assert found.problem is not None and (found.problem.what, found.problem.row) == ("removed", first)


def test_where_another_process_seals_at_the_same_moment_old_rows_go_the_next_time(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "calls": 30}
    calls(2)
    seal_all()
    sign, sealed = signing.sign, list[int]()

    def sign_late(content: bytes, key: Ed25519PrivateKey) -> str:
        if not sealed:
            sealed.append(1)
            calls()
            sealed.append(seal_all())
        return sign(content, key)

    monkeypatch.setattr(signing, "sign", sign_late)
    assert retention.drop_old(timezone.now() + PAST) == 0
    assert sealed == [1, 1]
    assert Call.objects.count() >= 2
    assert retention.drop_old(timezone.now() + PAST) == 2
    assert verifying.verify(signing.own_public_keys()).problem is None


def test_what_is_not_sealed_yet_is_never_deleted(settings: Any) -> None:
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "calls": 1}
    calls(2)
    assert retention.drop_old(timezone.now() + timedelta(days=400)) == 0


def test_the_pages_are_told_up_to_when_the_record_is_whole() -> None:
    assert state.of_record().words == "Nothing sealed yet"
    verifying.check_and_keep(whole_chain=True)
    assert state.of_record().words == "Nothing sealed yet"
    calls()
    seal_all()
    assert state.of_record().words == "Sealed, not checked yet"
    Verification.objects.all().delete()
    assert state.of_record().words == "Sealed, not checked yet"
    verifying.check_and_keep(whole_chain=False)
    shown = state.of_record()
    assert (shown.tone, shown.words) == ("good", f"Record whole up to {Call.objects.get().at:%H:%M}")


def test_the_pages_name_the_first_broken_row() -> None:
    calls(2)
    seal_all()
    broken = Call.objects.order_by("pk")[1]
    Call.objects.filter(pk=broken.pk).update(message="x")
    verifying.check_and_keep(whole_chain=True)
    shown = state.of_record()
    assert (shown.tone, shown.words) == ("bad", f"Broken at row {broken.pk}")
    assert shown.detail == f"Row {broken.pk} of the calls is not what was sealed (seal 1)."
    verifying.check_and_keep(whole_chain=False)
    assert state.of_record().tone == "bad", "the newest seals alone cannot take it back"
    Verification.objects.all().delete()
    Call.objects.filter(pk=broken.pk).update(message="")
    verifying.check_and_keep(whole_chain=True)
    assert state.of_record().tone == "good"


def test_the_check_between_takes_the_newest_seals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SIZE", 1)
    monkeypatch.setattr(verifying, "RECENT_SEALS", 2)
    calls(5)
    seal_all()
    Call.objects.filter(pk=Call.objects.order_by("pk")[0].pk).update(message="x")
    recent, whole = verifying.check_and_keep(whole_chain=False), verifying.check_and_keep(whole_chain=True)
    assert (recent.seals, recent.is_whole, whole.is_whole) == (2, True, False)


def verify() -> verifying.Checked:
    return verifying.verify(signing.own_public_keys())
