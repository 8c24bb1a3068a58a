"""Whether the record is what was sealed: the chain of seals first, then each row that they cover.

It reads one seal and its rows at a time, so it takes the same memory however long the record is.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.utils import timezone

from console.audit.models import Record, Seal, SealKind, Verification
from console.audit.seals import canonical, sealing, signing

RECENT_SEALS = 200
"""Checked every quarter of an hour; all of them once a day."""
_KEPT = timedelta(days=90)
"""How long it is known what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """The first thing that is not as it was sealed."""

    what: str
    """changed, removed, inserted or reordered (a row); seal_changed, seal_removed, seal_unsigned (a seal)."""
    seal: int
    """The number of the seal that shows it."""
    record: str = ""
    row: int | None = None
    words: str

    def stored(self) -> dict[str, Any]:
        return {"what": self.what, "seal": self.seal, "record": self.record, "row": self.row, "words": self.words}


@dataclass(slots=True, kw_only=True)
class Checked:
    problem: Flaw | None = None
    seals: int = 0
    rows: int = 0
    """Compared with what was sealed."""
    dropped: int = 0
    """Rows whose deletion by the retention is sealed."""
    through: datetime | None = None
    """When the last row was written that a seal covers and that is whole."""
    unsealed: dict[str, int] = field(default_factory=dict)
    """How many of the newest rows no seal covers yet, for each record."""


class _Broken(Exception):
    def __init__(self, problem: Flaw) -> None:
        self.problem = problem


def verify(
    trusted: frozenset[str], *, since: int = 0, copies: Iterable[Mapping[str, Any]] = (), to: int | None = None
) -> Checked:
    """Check the seals with numbers above ``since``, at most ``to``, and the rows they cover.

    ``trusted`` are the public keys that may have signed; ``copies`` are seals that were copied out before.
    """
    verdict = Checked()
    try:
        _check_copies(copies, trusted)
        _check_chain(verdict, trusted, since, to)
        for record in Record:
            _check_outside(record)
    except _Broken as broken:
        verdict.problem = broken.problem
    for record in Record:
        newer = canonical.TABLES[record].objects.filter(pk__gt=sealing.last_sealed(record))
        verdict.unsealed[record.value] = newer.count()
    return verdict


def check_and_keep(*, whole_chain: bool) -> Verification:
    """What the tasks do: what was found is kept for the pages."""
    began, now = time.monotonic(), timezone.now()
    newest = Seal.objects.aggregate(newest=Max("number"))["newest"] or 0
    Verification.objects.filter(at__lt=now - _KEPT).delete()
    since = 0 if whole_chain else max(0, newest - RECENT_SEALS)
    found = verify(signing.own_public_keys(), since=since)
    return Verification.objects.create(
        at=now,
        whole_chain=since == 0,
        seals=found.seals,
        rows=found.rows,
        through=found.through,
        problem=found.problem.stored() if found.problem else {},
        seconds=time.monotonic() - began,
    )


def was_checked() -> bool:
    return Verification.objects.exists()


# -- the chain -----------------------------------------------------------------------------------------------


def _check_chain(verdict: Checked, trusted: frozenset[str], since: int, to: int | None) -> None:
    chain = Seal.objects.filter(number__gt=since).order_by("number")
    before = Seal.objects.filter(number=since).values_list("digest").first() if since else ("",)
    if before is None:
        raise _Broken(Flaw(what="seal_removed", seal=since, words=f"Seal {since} is missing."))
    number, previous, dropped = since, before[0], _dropped(trusted)
    after = {record.value: _covered_before(record, since) for record in Record}
    for seal in (chain if to is None else chain.filter(number__lte=to)).iterator(chunk_size=8):
        number += 1
        _check_seal(seal, number, previous, trusted)
        if seal.kind == SealKind.ROWS:
            if seal.first_id != after[seal.record] + 1:
                raise _Broken(_of_seal(seal, "seal_changed", "does not begin where the seal before it ends"))
            after[seal.record] = seal.last_id
            if seal.last_id > dropped.get(seal.record, 0):
                try:
                    _check_rows(seal)
                except _Broken:
                    dropped = _dropped(trusted)  # the retention may have been there since this check began
                    if seal.last_id > dropped.get(seal.record, 0):
                        raise
            if seal.last_id <= dropped.get(seal.record, 0):
                verdict.dropped += seal.rows
            else:
                verdict.rows += seal.rows
            verdict.through = seal.through if verdict.through is None else max(verdict.through, seal.through)
        verdict.seals += 1
        previous = seal.digest


def _check_seal(seal: Seal, number: int, previous: str, trusted: frozenset[str]) -> None:
    if seal.number != number:
        words = f"Seal {number} is missing: after seal {number - 1} comes seal {seal.number}."
        raise _Broken(Flaw(what="seal_removed", seal=number, record=seal.record, words=words))
    if seal.previous != previous:
        raise _Broken(_of_seal(seal, "seal_changed", "does not follow from the seal before it"))
    _check_signed(seal, trusted)
    leaves = _leaves(seal)
    expected = 0 if seal.kind == SealKind.DROPPED else seal.rows
    if canonical.root(leaves) != seal.root or len(leaves) != expected:
        raise _Broken(_of_seal(seal, "seal_changed", "has other hashes of its rows than those that were signed"))


def _check_signed(seal: Seal, trusted: frozenset[str]) -> None:
    try:
        content = canonical.body(seal)
    except (TypeError, ValueError, AttributeError) as error:
        raise _Broken(_of_seal(seal, "seal_changed", "cannot be read as it was written")) from error
    if canonical.digest(content) != seal.digest:
        raise _Broken(_of_seal(seal, "seal_changed", "is not what was signed"))
    if seal.public_key not in trusted:
        raise _Broken(_of_seal(seal, "seal_unsigned", f"is signed with another key: {seal.public_key}"))
    if not signing.fits(seal.signature, content, seal.public_key):
        raise _Broken(_of_seal(seal, "seal_unsigned", "has a signature that does not fit"))


def _dropped(trusted: frozenset[str]) -> dict[str, int]:
    """Up to which id the retention deleted the rows, by markers whose signatures fit; the chain is checked apart."""
    found: dict[str, int] = {}
    for seal in Seal.objects.filter(kind=SealKind.DROPPED).order_by("number").defer("leaves").iterator():
        _check_signed(seal, trusted)
        found[seal.record] = max(found.get(seal.record, 0), seal.last_id)
    return found


def _leaves(seal: Seal) -> list[bytes]:
    kept = bytes(seal.leaves)
    return [kept[at : at + canonical.LEAF_BYTES] for at in range(0, len(kept), canonical.LEAF_BYTES)]


def _of_seal(seal: Seal, what: str, words: str) -> Flaw:
    return Flaw(what=what, seal=seal.number, record=seal.record, words=f"Seal {seal.number} {words}.")


# -- rows ----------------------------------------------------------------------------------------------------


def _check_rows(seal: Seal) -> None:
    sealed = dict(zip(_ids(seal), _leaves(seal), strict=False))
    if len(sealed) != seal.rows:
        raise _Broken(_of_seal(seal, "seal_changed", "does not say which rows it covers"))
    expected, actual = iter(sealed.items()), iter(_actual(seal))
    wanted, found = next(expected, None), next(actual, None)
    while wanted is not None or found is not None:
        if wanted is None or (found is not None and found[0] < wanted[0]):
            assert found is not None
            raise _Broken(_of_row(seal, "inserted", found[0], "was not there when its range was sealed"))
        if found is None or found[0] > wanted[0]:
            raise _Broken(_of_row(seal, "removed", wanted[0], "is missing"))
        if found[1] != wanted[1]:
            raise _Broken(_changed(seal, found, sealed))
        wanted, found = next(expected, None), next(actual, None)


def _changed(seal: Seal, found: tuple[int, bytes], sealed: Mapping[int, bytes]) -> Flaw:
    was = next((row for row, leaf in sealed.items() if leaf == found[1]), None)
    if was is not None:
        return _of_row(seal, "reordered", found[0], f"holds what was row {was} when it was sealed")
    return _of_row(seal, "changed", found[0], "is not what was sealed")


def _of_row(seal: Seal, what: str, row: int, words: str) -> Flaw:
    name = Record(seal.record).label.lower()
    return Flaw(
        what=what,
        seal=seal.number,
        record=seal.record,
        row=row,
        words=f"Row {row} of the {name} {words} (seal {seal.number}).",
    )


def _ids(seal: Seal) -> Iterator[int]:
    at = seal.first_id
    for first, last in seal.gaps:
        yield from range(at, first)
        at = last + 1
    yield from range(at, seal.last_id + 1)


def _actual(seal: Seal) -> Iterator[tuple[int, bytes]]:
    """The rows of its range and one more than there should be, so that no flood of others fills the memory."""
    table, fields = canonical.TABLES[seal.record], canonical.FIELDS[seal.form][seal.record]
    mine = table.objects.filter(pk__gte=seal.first_id, pk__lte=seal.last_id).order_by("pk")
    try:
        rows = list(mine.values_list("pk", *fields)[: seal.rows + 1])
        found = [(row[0], canonical.leaf(seal.record, seal.form, row[1:])) for row in rows]
    except (TypeError, ValueError, AttributeError):  # what was put there is no value of ours: find out where
        found = [(pk, _leaf_of(seal, pk)) for (pk,) in mine.values_list("pk")[: seal.rows + 1]]
    yield from found


def _leaf_of(seal: Seal, pk: int) -> bytes:
    table, fields = canonical.TABLES[seal.record], canonical.FIELDS[seal.form][seal.record]
    try:
        return canonical.leaf(seal.record, seal.form, table.objects.filter(pk=pk).values_list(*fields).get())
    except (TypeError, ValueError, AttributeError):
        return b""


# -- what no seal covers -------------------------------------------------------------------------------------


def _check_outside(record: Record) -> None:
    """Rows before the first seal, and those that were said to be deleted."""
    marker = Seal.objects.filter(record=record, kind=SealKind.DROPPED).order_by("-last_id").first()
    first = 1 if marker is None else marker.last_id + 1
    stray = canonical.TABLES[record].objects.filter(pk__lt=first).order_by("pk").values_list("pk").first()
    if stray is not None:
        number = 1 if marker is None else marker.number
        words = f"Row {stray[0]} of the {record.label.lower()} stands where seal {number} says that there is none."
        raise _Broken(Flaw(what="inserted", seal=number, record=record.value, row=stray[0], words=words))


def _covered_before(record: Record, number: int) -> int:
    mine = Seal.objects.filter(record=record, kind=SealKind.ROWS, number__lte=number)
    return int(mine.aggregate(last=Max("last_id"))["last"] or 0)


def _check_copies(copies: Iterable[Mapping[str, Any]], trusted: frozenset[str]) -> None:
    for copy in copies:
        number, content = copy["number"], canonical.copied(copy)
        signed = canonical.digest(content) == copy["digest"] and copy.get("public_key") in trusted
        if not signed or not signing.fits(str(copy.get("signature", "")), content, str(copy.get("public_key", ""))):
            words = f"The copy of seal {number} is not signed with a key that is trusted."
            raise _Broken(Flaw(what="seal_unsigned", seal=number, words=words))
        kept = Seal.objects.filter(number=number).values_list("digest").first()
        if kept is None:
            words = f"Seal {number} was copied out, and is missing here."
            raise _Broken(Flaw(what="seal_removed", seal=number, words=words))
        if kept[0] != copy["digest"]:
            words = f"Seal {number} is another one than was copied out."
            raise _Broken(Flaw(what="seal_changed", seal=number, words=words))
