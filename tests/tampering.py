"""A record that somebody with the database's password changes: each change is named by ``audit_verify``.

``python -m tests.tampering --on sqlite``; a home and a database of its own, gone afterwards. It prints what was found
after each change, as JSON.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.races import instance

ROWS, SIZE = 30, 10
_SWAP = ((99, 12), (12, 14), (14, 99))


def run(home: Path) -> dict[str, Any]:
    from django.conf import settings
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError, connection, transaction
    from django.utils import timezone

    from console.audit import log as audit_log
    from console.audit.models import Call, CallOutcome, Change, Seal
    from console.audit.seals import retention, sealing, triggers

    sealing.SIZE = SIZE
    found: dict[str, Any] = {}

    def verify(*arguments: str) -> str:
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                call_command("audit_verify", *arguments, stdout=said)
        except CommandError as error:
            return str(error)
        return said.getvalue().splitlines()[-1].partition(" up to ")[0]

    def sql(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def refused(statement: str) -> str:
        try:
            with transaction.atomic():
                sql(statement)
        except DatabaseError as error:
            return str(error).splitlines()[0]
        return "allowed"

    def tried(name: str, *statements: str, arguments: tuple[str, ...] = (), then: Callable[[], object] = int) -> None:
        """What is found once the statements are done by somebody who may do anything; nothing of it stays."""
        try:
            with transaction.atomic():
                triggers.remove()
                sql(*statements)
                then()
                found[name] = verify(*arguments)
                raise _Undone
        except _Undone:
            pass

    for number in range(ROWS):
        audit_log.record_call(
            audit_log.Entry(
                request_id=f"req_{number}",
                outcome=CallOutcome.OK,
                duration_us=1500,
                tool="get_quote",
                arguments={"symbol": "ÄÖ/USD", "depth": [1, {"two": None}], "big": 2**60, "ratio": 0.5},
            )
        )
        audit_log.record_change(None, "paused", "app", number, "Claude", before={"paused": False})
    # A number that no row has, as a transaction that was rolled back leaves it.
    triggers.remove()
    sql("DELETE FROM audit_call WHERE id = 23")
    triggers.install()
    found["seals"] = sealing.seal_due(timezone.now() + timedelta(minutes=2))
    found["whole"] = verify()
    found["missing triggers"] = triggers.missing()

    # What the database refuses
    found["update"] = refused("UPDATE audit_call SET tool = 'x' WHERE id = 5")
    found["delete"] = refused("DELETE FROM audit_change WHERE id = 5")
    found["unsealing"] = refused("DELETE FROM audit_seal WHERE number = 1")
    if connection.vendor == "postgresql":
        found["truncate"] = refused("TRUNCATE audit_call")

    # What the seals show of somebody whom nothing refuses
    fields = [str(field.column) for field in Call._meta.concrete_fields if field.column not in ("id", "request_id")]
    copy = f"INSERT INTO audit_call (id, request_id, {', '.join(fields)}) SELECT {{id}}, 'again', {', '.join(fields)} "
    tried("changed", "UPDATE audit_call SET message = 'x' WHERE id = 15")
    tried("changed JSON", "UPDATE audit_change SET before = '{\"paused\": true}' WHERE id = 15")
    tried("unreadable", "UPDATE audit_call SET arguments = '[1.5e400]' WHERE id = 16")
    tried("removed", "DELETE FROM audit_change WHERE id = 7")
    tried("removed last of its seal", "DELETE FROM audit_call WHERE id = 10")
    tried("inserted", copy.format(id=23) + "FROM audit_call WHERE id = 4")
    tried("replaced", "DELETE FROM audit_call WHERE id = 3", copy.format(id=3) + "FROM audit_call WHERE id = 4")
    tried("inserted before", copy.format(id=-1) + "FROM audit_call WHERE id = 4")
    tried("reordered", *(f"UPDATE audit_change SET id = {new} WHERE id = {old}" for new, old in _SWAP))  # noqa: S608
    tried("seal changed", "UPDATE audit_seal SET last_id = last_id - 1 WHERE number = 3")
    tried("seal removed", "DELETE FROM audit_seal WHERE number = 2")
    other_leaves = "(SELECT leaves FROM audit_seal WHERE number = 2)"
    tried("hashes changed", f"UPDATE audit_seal SET leaves = {other_leaves} WHERE number = 1")  # noqa: S608
    last = Seal.objects.order_by("-number").first()
    assert last is not None
    newest = f"DELETE FROM audit_seal WHERE number = {last.number}"  # noqa: S608
    cut_off = (newest, "DELETE FROM audit_change WHERE id > 20")
    tried("newest removed with its rows", *cut_off)

    # The same with seals that were copied out, and with the public key alone
    copied, public = home / "seals.ndjson", home / "public.pem"
    for file, option in ((copied, "--since=0"), (public, "--public-key")):
        told = io.StringIO()
        call_command("audit_seals", option, stdout=told)
        file.write_text(told.getvalue())
    found["with copies"] = verify("--seals", str(copied), "--public-key", str(public))
    tried("newest removed, with copies", *cut_off, arguments=("--seals", str(copied)))

    def seal_anew() -> None:
        Path(settings.AUDIT_KEY_FILE).rename(home / "kept.pem")
        sealing.seal_due(timezone.now() + timedelta(minutes=2))

    tried(
        "sealed anew with another key",
        "DELETE FROM audit_call WHERE id = 5",
        "DELETE FROM audit_seal",
        then=seal_anew,
        arguments=("--public-key", str(public)),
    )
    (home / "kept.pem").replace(settings.AUDIT_KEY_FILE)

    def put_back() -> None:
        Call.objects.create(pk=4, request_id="again", at=timezone.now(), outcome="ok", duration_us=1)

    # The retention is the one way out
    settings.KEEP_DAYS = {"calls": 30, "changes": 0}
    found["dropped"] = retention.drop_old(timezone.now() + timedelta(days=62))  # 32 days more than kept: a whole month
    found["calls left"] = Call.objects.count()
    found["after retention"] = verify()
    found["told"] = Change.objects.filter(action="old rows deleted").values_list("times", flat=True).get()
    tried("marker removed", "DELETE FROM audit_seal WHERE kind = 'dropped'")
    tried("back again", then=put_back)
    return found


class _Undone(Exception):
    """What was tried is taken back."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    with instance(parser.parse_args().on):
        print(json.dumps(run(Path(os.environ["TRADELATCH_HOME"])), default=str))  # noqa: T201  the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
