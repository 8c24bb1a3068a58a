"""``make bench-alerts``: what one pass over alerts costs, and how that grows with their number.

    python -m tests.bench.alerts [--rounds 5]

1,000 symbols of one connection, watched by 1,000 alerts and then by 10,000, in a database of SQLite: once their prices
and once an RSI of their hourly bars. The broker is in this process and answers at once, so what is measured is our own
part: CPU seconds of this process a pass, the least of the rounds; and how often the broker is asked. Then a pass in
which 100 of 10,000 fire. It ends with its bounds: ten times the alerts may cost at most ten times as much, and no
symbol is asked for twice.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brokers.types import Bar, BarSize, Quote
from tests import serving

if TYPE_CHECKING:
    from console.connections.models import Connection

SYMBOLS, FEW, MANY = 1_000, 1_000, 10_000
MOST_TIMES = 10.0
_FIRES = 100


class CountedBroker:
    """Every symbol costs 100, but those that were named; counts what it is asked."""

    def __init__(self) -> None:
        self.questions, self.symbols = 0, 0
        self.of: dict[str, Decimal] = {}
        self.now: Callable[[], datetime]

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        self.questions += 1
        self.symbols += len(symbols)
        now = self.now()
        return [
            Quote(
                symbol=symbol,
                currency="USD",
                last=self.of.get(symbol, Decimal(100)),
                bid=Decimal("99.99"),
                ask=Decimal("100.01"),
                open=None,
                high=None,
                low=None,
                change_percent=None,
                as_of=now,
                source="bench",
            )
            for symbol in symbols
        ]

    def bars(self, symbol: str, size: BarSize, *, limit: int = 100, **more: Any) -> list[Bar]:
        self.questions += 1
        self.symbols += 1
        step, now = timedelta(seconds=size.seconds), self.now()
        closes = [Decimal(10_000 + at * 37 % 101) / 100 for at in range(limit)]
        return [
            Bar(start=now - step * (limit - at), open=each, high=each, low=each, close=each, volume=Decimal(1))
            for at, each in enumerate(closes)
        ]


def _fill(connection: "Connection", kind: str, measure: str, alerts: int) -> None:
    """As many of each symbol, none of them met."""
    from django.utils import timezone

    from console import ids
    from console.alerts.models import Alert, WatchedValue

    now = timezone.now()
    watched = WatchedValue.objects.bulk_create(
        WatchedValue(connection=connection, symbol=f"S{each}", kind=kind, measure=measure, currency="USD", due_at=now)
        for each in range(SYMBOLS)
    )
    Alert.objects.bulk_create(
        (
            Alert(
                public_id=ids.new("alt"),
                owner_id=connection.owner_id,
                connection=connection,
                watched=watched[number % SYMBOLS],
                condition="above",
                value=Decimal(200 + number // SYMBOLS),
                created_at=now,
                expires_at=now + timedelta(days=30),
            )
            for number in range(alerts)
        ),
        batch_size=1000,
    )


def _pass(broker: CountedBroker) -> tuple[float, int, int, int]:
    """CPU seconds, questions, symbols asked for, alerts that fired."""
    from django.utils import timezone

    from console.alerts import evaluation
    from console.alerts.models import WatchedValue

    WatchedValue.objects.update(due_at=timezone.now())
    broker.questions = broker.symbols = 0
    began = time.process_time()
    fired = evaluation.run()
    return time.process_time() - began, broker.questions, broker.symbols, fired


def _measure(rounds: int) -> list[str]:
    """What was out of bounds."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from console.accounts.models import User
    from console.alerts.models import Alert, WatchedValue
    from console.connections import broker_access
    from console.connections.models import Connection

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    connection = Connection.objects.create(owner=owner, name="Practice", broker="paper", environment="paper")
    broker = CountedBroker()
    broker.now = timezone.now
    broker_access.broker_of = lambda linked: broker  # type: ignore[assignment,return-value]  # stands in for one
    wrong = []
    for name, kind, measure in (("prices", "price", ""), ("RSI(14) of hourly bars", "indicator", "RSI(14) 1h")):
        costs = {}
        for count in (FEW, MANY):
            Alert.objects.all().delete()
            WatchedValue.objects.all().delete()
            _fill(connection, kind, measure, count)
            _pass(broker)
            seconds, questions, symbols, _ = min(_pass(broker) for _ in range(rounds))
            costs[count] = seconds
            asked = f"{questions:,} questions for {symbols:,} symbols"
            _line(f"{name}, {count:>6,} alerts: {seconds:.3f} s of CPU a pass, {asked}")
            if symbols > SYMBOLS:
                wrong.append(f"{name}: {symbols} symbols were asked for")
        times = costs[MANY] / costs[FEW]
        _line(f"{name}: ten times the alerts cost {times:.2f} times as much (at most {MOST_TIMES:g})")
        if times > MOST_TIMES:
            wrong.append(f"{name}: {times:.2f} times")
        if kind == "price":
            broker.of = {f"S{each}": Decimal("200.5") for each in range(_FIRES)}
            seconds, _, _, fired = _pass(broker)
            broker.of = {}
            _line(f"{name}, {MANY:,} alerts, {fired} of them fire: {seconds:.3f} s of CPU")
            if fired != _FIRES:
                wrong.append(f"{fired} fired, not {_FIRES}")
    return wrong


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.alerts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as home:
        os.environ |= serving.environment(Path(home), 8000) | {"DJANGO_SETTINGS_MODULE": "console.settings"}
        if wrong := _measure(options.rounds):
            raise SystemExit("; ".join(wrong))


if __name__ == "__main__":
    main()
