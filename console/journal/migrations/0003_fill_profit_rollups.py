"""Sums of what was copied before there were any."""

from collections import defaultdict
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    executions = apps.get_model("journal", "Execution").objects.filter(matched=True)
    trips = apps.get_model("journal", "RoundTrip").objects.filter(closed_at__isnull=False)
    rollups = apps.get_model("journal", "ProfitRollup").objects
    cells: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [Decimal(0), Decimal(0), 0, 0, 0, Decimal(0)])

    def add(connection: int, account: str, symbol: str, currency: str, at: Any, told: list[Any]) -> None:
        day: date = at.astimezone(UTC).date()
        starts = {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}
        for grain, start in starts.items():
            for named in {symbol, ""}:
                cell = cells[connection, account, named, currency, grain, start]
                for place, value in enumerate(told):
                    cell[place] += value

    names = ("connection_id", "account_id", "symbol", "currency")
    for *where, at, realized, fee in executions.values_list(*names, "at", "realized", "fee").iterator(chunk_size=2000):
        add(*where, at, [realized, fee, 1, 0, 0, Decimal(0)])
    closed = trips.values_list(*names, "closed_at", "realized", "fees", "won")
    for *where, at, realized, fees, won in closed.iterator(chunk_size=2000):
        add(*where, at, [Decimal(0), Decimal(0), 0, 1, int(bool(won)), realized - fees])
    columns = ("connection_id", "account_id", "symbol", "currency", "grain", "start")
    sums = ("realized", "fees", "fills", "trips", "won", "trips_net")
    rollups.bulk_create(
        [
            rollups.model(**dict(zip(columns, key, strict=True)), **dict(zip(sums, told, strict=True)))
            for key, told in cells.items()
        ],
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies = [("journal", "0002_profit_rollups")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
