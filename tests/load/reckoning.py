"""What became of all that was asked, as counts. Django is set up; nothing runs any more."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from django.db.models import Q
from django.utils import timezone

from console.audit.models import Call
from console.orders.models import Confirmation, Order
from console.orders.states import AT_BROKER
from tests.chaos import WRONG, books
from tests.load.people import Account
from tests.load.traffic import LOST, Answer, Traffic
from tests.patience import at_most

SETTLES_WITHIN = 60.0
FRESH = 15.0
"""Seconds after its start during which a process is fresh."""
TOLD_WITHIN = 8.0
"""Seconds from the answer to an order until a stream elsewhere says so."""
_WITHHELD = "audit_unavailable"


@dataclass(frozen=True, slots=True)
class Outage:
    """While Redis or PostgreSQL was away, and some seconds more. Times by ``time.time()``."""

    began: float
    ended: float


@dataclass(slots=True)
class Counts:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    audit_gaps: list[str] = field(default_factory=list)
    used_after_revocation: list[str] = field(default_factory=list)
    refused_by_fresh: list[str] = field(default_factory=list)
    streams_not_told: list[str] = field(default_factory=list)
    bare_failures: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """What else there is to say."""

    @property
    def wrong(self) -> dict[str, list[str]]:
        """By what the last lines call it; all of it has to be empty."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "audit gaps that did not say so": self.audit_gaps,
            "uses after revocation": self.used_after_revocation,
            "refusals by fresh processes": self.refused_by_fresh,
            "orders that a stream did not tell": self.streams_not_told,
            "failures without a request id or Retry-After": self.bare_failures,
            "surprises": self.surprises,
        }


def settle() -> None:
    """Let what nobody confirmed lapse, and wait until the sweeps have looked up everything once more."""
    since = timezone.now()
    resting = Order.objects.filter(Q(looked_up_at=None) | Q(looked_up_at__lt=since), status__in=AT_BROKER)
    Confirmation.objects.filter(redeemed_at=None).update(expires_at=timezone.now())
    deadline = time.monotonic() + at_most(SETTLES_WITHIN)
    while books.under_way().exists() or books.changes_under_way().exists() or resting.exists():
        if time.monotonic() > deadline:
            return  # the books say what is stuck
        time.sleep(0.5)


def reckon(
    traffic: Traffic, accounts: Sequence[Account], outages: Sequence[Outage], starts: dict[int, list[float]]
) -> Counts:
    """``starts``: by port, when its process was ready."""
    counts = Counts(surprises=list(traffic.surprises))
    _compare(counts, accounts, traffic)
    _look_for_gaps(counts, traffic.answers)
    _look_for_uses(counts, traffic)
    _look_at_fresh(counts, traffic.answers, outages, starts)
    _look_at_streams(counts, traffic)
    counts.bare_failures = [
        f"{each.tool} at {each.port}: {each.code}"
        for each in traffic.answers
        if each.code.startswith("http 5") and not (each.request_id and each.retry_after)
    ]
    codes = Counter(each.code or "done" for each in traffic.answers)
    tools = Counter(each.tool for each in traffic.answers)
    counts.lines.append(", ".join(f"{count} {tool}" for tool, count in tools.most_common()))
    counts.lines.append("answers: " + ", ".join(f"{count} {code}" for code, count in codes.most_common()))
    counts.lines.append(f"{len(traffic.revoked)} keys revoked, {len(traffic.streams)} streams")
    return counts


def _compare(counts: Counts, accounts: Sequence[Account], traffic: Traffic) -> None:
    found: dict[str, list[str]] = {name: [] for name in WRONG}
    seen: Counter[str] = Counter()
    for account in accounts:
        books.compare(account, found, seen, first_ids=account.truth().replaced)
    counts.doubled = found.pop("sent_twice")
    counts.lost = [f"{WRONG[kind]}: {each}" for kind, several in found.items() for each in several]
    asked = Counter(Order.objects.filter(client_order_id__in=traffic.wanted).values_list("client_order_id", flat=True))
    counts.lost += [f"{name} was confirmed and is nowhere" for name in traffic.wanted - asked.keys()]
    counts.doubled += [f"{name} is {count} orders" for name, count in asked.items() if count > 1]
    ended = Counter(Order.objects.values_list("status", flat=True))
    counts.lines.append("orders: " + ", ".join(f"{count} {status}" for status, count in ended.most_common()))
    counts.lines.append(f"at the broker: {seen['posts']} orders and {seen['changes_sent']} changes arrived")


def _look_for_gaps(counts: Counts, answers: Sequence[Answer]) -> None:
    rows = dict(Call.objects.values_list("request_id", "code"))
    withheld = 0
    for each in answers:
        if each.code == LOST or each.code.startswith("http") or not each.request_id:
            continue
        if each.code == _WITHHELD:
            withheld += 1
        elif each.request_id not in rows:
            if each.content.get("context", {}).get("not_recorded"):
                withheld += 1
            else:
                counts.audit_gaps.append(f"{each.tool} {each.code} {each.request_id} has no row")
        elif rows[each.request_id] != each.code:
            counts.audit_gaps.append(f"{each.request_id}: {each.code!r} answered, {rows[each.request_id]!r} written")
    counts.lines.append(f"{len(rows)} rows of calls; {withheld} answers said that theirs was not written")


def _look_for_uses(counts: Counts, traffic: Traffic) -> None:
    ended = {each.app.number: each.at for each in traffic.revoked}
    after = [each for each in traffic.answers if each.app in ended and each.began > ended[each.app]]
    counts.used_after_revocation = [f"{each.tool} of app {each.app}" for each in after if not each.code]
    counts.lines.append(f"{len(after)} calls with a revoked key, begun after the answer")


def _look_at_fresh(
    counts: Counts, answers: Sequence[Answer], outages: Sequence[Outage], starts: dict[int, list[float]]
) -> None:
    calls = 0

    def during_outage(each: Answer) -> bool:
        return any(outage.began <= each.ended and each.began <= outage.ended for outage in outages)

    for each in answers:
        fresh = any(0 <= each.began - start <= FRESH for start in starts.get(each.port, ()))
        if fresh and not during_outage(each):
            calls += 1
            if each.code in ("rate_limited", "internal_error") or each.code.startswith("http 5"):
                counts.refused_by_fresh.append(f"{each.tool} at {each.port}: {each.code}")
    counts.lines.append(f"{calls} calls to processes of less than {FRESH:.0f} s")
    uncounted = [each for each in answers if each.code == "rate_limited" and not during_outage(each)]
    counts.surprises += [f"{each.tool} at {each.port} was refused: rate_limited" for each in uncounted]


def _look_at_streams(counts: Counts, traffic: Traffic) -> None:
    moved = [each for each in traffic.answers if each.tool == "confirm_trade" and not each.code]
    checked = 0
    for stream in traffic.streams:
        for each in moved:
            if each.app != stream.app or each.began < stream.opened:
                continue
            latest = each.ended + at_most(TOLD_WITHIN)
            if any(each.began <= told <= latest for told in stream.told):
                checked += 1
            elif latest < stream.closed:
                counts.streams_not_told.append(f"app {each.app} at {stream.port}: {each.request_id}")
    counts.lines.append(f"{checked} times a stream told of an order")


def sessions(url: str) -> int:
    """Of the database, this one included."""
    with psycopg.connect(url) as session:
        row = session.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
