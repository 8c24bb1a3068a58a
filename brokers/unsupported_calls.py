"""What a broker's interface has not: refused in one place, in the words its adapter has for it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import ClassVar, NoReturn

from brokers.errors import InvalidRequest, NotSupported
from brokers.types import (
    Ability,
    AssetClass,
    Bar,
    BarSize,
    FeeRule,
    Fill,
    Instrument,
    MarketDay,
    OrderBook,
    Prints,
    Rate,
    Transaction,
)


class Lacking:
    """Below an adapter that has only some of what ``Broker`` asks for: the rest raises NotSupported."""

    LACKS: ClassVar[Mapping[Ability, str]]
    """Why, as a sentence for a person: of what the adapter's capabilities leave out."""

    def _lack(self, ability: Ability) -> NoReturn:
        raise NotSupported(self.LACKS[ability])

    def transactions(
        self,
        account_id: str,
        *,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        kinds: Collection[str] = (),
        after: str = "",
    ) -> list[Transaction]:
        self._lack(Ability.TRANSACTIONS)

    def fills(
        self,
        account_id: str,
        *,
        client_order_id: str = "",
        symbol: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int,
        after: str = "",
    ) -> list[Fill]:
        self._lack(Ability.FILLS)

    def fees(self, account_id: str) -> list[FeeRule]:
        self._lack(Ability.FEES)

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        self._lack(Ability.SCREENING)

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        self._lack(Ability.BARS)

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        self._lack(Ability.ORDER_BOOK)

    def prints(self, symbol: str, limit: int) -> Prints:
        self._lack(Ability.PRINTS)

    def market_hours(self, *, day: date | None = None, market: str = "") -> list[MarketDay]:
        self._lack(Ability.MARKET_HOURS)

    def exchange_rate(self, base: str, quote: str) -> Rate:
        self._lack(Ability.EXCHANGE_RATES)


def page_of_fills(
    found: Sequence[Fill],
    *,
    client_order_id: str,
    symbol: str,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    after: str,
) -> list[Fill]:
    """As ``Broker.fills`` wants it, of a broker that tells all it has at once. Raises InvalidRequest."""
    rows = sorted(found, key=lambda fill: (fill.filled_at, fill.fill_id), reverse=True)
    if after:
        places = [place for place, fill in enumerate(rows) if fill.fill_id == after]
        if not places:
            raise InvalidRequest("This page of the list no longer exists. Start from the first page.", "cursor")
        rows = rows[places[0] + 1 :]
    return [
        fill
        for fill in rows
        if client_order_id in ("", fill.client_order_id)
        and symbol in ("", fill.symbol)
        and (start is None or fill.filled_at >= start)
        and (end is None or fill.filled_at < end)
    ][: max(limit, 0)]
