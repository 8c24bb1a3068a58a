"""What our adapter reads of the state that a vendor's client left behind, in the form of ``probe``."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

from brokers import spreads
from brokers.base import Broker, QuotingBroker
from brokers.symbol_lookup import parse_occ
from brokers.types import AssetClass, BarSize, BrokerStatus, OrderRequest, OrderType, Side, TimeInForce
from tests.vendors import probe

Reads = Callable[[str, str], bool]
"""Kind of word and word → whether the adapter knows it."""
_STATES = {
    BrokerStatus.WORKING: "open",
    BrokerStatus.PARTIALLY_FILLED: "open",
    BrokerStatus.FILLED: "filled",
    BrokerStatus.CANCELLED: "cancelled",
    BrokerStatus.EXPIRED: "expired",
    BrokerStatus.REJECTED: "rejected",
}
_LOOKS = {
    "get_by_our_id": "rests",
    "get_by_their_id": "rests",
    "after_reconnecting": "rests",
    "change_stop": "exit_stop",
    "replace": "moved",
    "cancel_by_their_id": "ended",
    "cancel_by_our_id": "ended_by_our_id",
}
"""Call of the client → the order it looked at, where its name does not say so."""
_ANSWERS = ("taken", "refused", "cancelled")
"""What a call answers that the adapter has nothing to set beside."""


class Ours:
    def __init__(
        self, broker: Broker, symbol: str, ids: Mapping[str, str], knows: Reads = lambda kind, word: True
    ) -> None:
        self._broker = broker
        self._symbol = symbol
        self._ids = ids
        self._knows = knows
        self._account = broker.accounts()[0].account_id

    def read(self, call: str, theirs: Any) -> Any:
        """Of the same thing, as much as the client told of it."""
        if theirs in _ANSWERS or call == "list_several":
            return theirs
        if call.startswith("words_"):
            return [each for each in theirs if self._knows(call.removeprefix("words_"), each)]
        name = _LOOKS.get(call, call.removeprefix("get_"))
        if name in self._ids:
            return self._order(name, theirs)
        reads: Mapping[str, Callable[[Any], Any]] = {
            "order_stream": self._stream,
            "list_open": self._open,
            "list_of_symbol": self._open,
            "only_validated": self._open,
            "fills": self._fills,
            "balances": self._balances,
            "money": self._money,
            "positions": self._positions,
            "positions_asked_for": self._positions,
            "list_own": self._open,
            "instrument_rules": self._instrument,
            "exchange_rate": self._rate,
            "instrument": self._instrument,
            "quote": self._quote,
            "bars": self._bars,
            "order_book": self._book,
            "calendar": self._calendar,
            "option_contract": self._option,
            "option_chain": self._chain,
            "option_spread": self._spread,
            "fees": self._fees,
            **dict.fromkeys(("convert_quote", "convert_commit", "convert_get"), self._conversion),
        }
        return reads[call](theirs) if call in reads else "an answer of another kind"

    def _stream(self, theirs: Mapping[str, str]) -> Any:
        """What our reader makes of the frame that the client was sent."""
        meant = self._broker.order_stream().heard(theirs["frame"])
        return {**theirs, "named": meant.client_order_ids[0] if meant.moved and meant.client_order_ids else ""}

    def _order(self, name: str, theirs: Mapping[str, str]) -> Any:
        found = self._broker.order(self._account, self._ids[name], symbol=self._symbol)
        if found is None:
            return None
        mine = probe.order(
            side=found.side,
            status=_STATES.get(found.status, found.status.value),
            quantity=found.quantity,
            filled=found.filled_quantity,
            limit=found.limit_price,
            average=found.average_price,
            type="" if found.order_type is None else found.order_type.value,
            tif="" if found.tif is None else found.tif.value,
            stop=probe.price(found.stop_price),
        )
        return {each: value for each, value in mine.items() if each in theirs}

    def _spread(self, theirs: Any) -> Any:
        found = self._broker.order(self._account, self._ids["spread"], symbol=self._symbol)
        told = None if found is None else spreads.parse(found.symbol)
        if found is None or told is None or found.limit_price is None or found.quantity is None:
            return None
        pays = 1 if found.side is Side.BUY else -1
        traded = told if found.side is Side.BUY else told.turned
        return {
            "net": probe.plain(pays * found.limit_price),
            "quantity": probe.plain(found.quantity),
            "legs": sorted(
                [leg.symbol, "buy" if leg.sign > 0 else "sell", probe.plain(leg.ratio * found.quantity)]
                for leg in traded.legs
            ),
        }

    def _conversion(self, theirs: Mapping[str, str]) -> Any:
        asked = OrderRequest(
            client_order_id="c" * 32,
            symbol="USDC/USD",
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quantity=Decimal(theirs["converts"]),
            tif=TimeInForce.IOC,
        )
        found = cast(QuotingBroker, self._broker).order_of_quote(self._account, asked, theirs["id"])
        if found is None:
            return None
        mine = {
            "id": found.broker_order_id,
            "status": _STATES[found.status],
            "converts": probe.plain(found.quantity),
            "fee": probe.plain(found.fees),
        }
        return {each: value for each, value in mine.items() if each in theirs}

    def _open(self, theirs: Any) -> list[str]:
        return sorted(each.client_order_id for each in self._broker.orders(self._account, open_only=True))

    def _fills(self, theirs: Any) -> list[Any]:
        found = self._broker.fills(self._account, client_order_id=self._ids["market"], symbol=self._symbol, limit=10)
        return [
            probe.fill(
                quantity=each.quantity,
                price=each.price,
                fee=each.fee if each.fee_charged is None else each.fee_charged,
                coin=each.fee_asset or each.currency,
            )
            for each in found
        ]

    def _balances(self, theirs: Any) -> dict[str, Any]:
        state = self._broker.account_state(self._account)
        found = {each.currency: [probe.plain(each.total), probe.plain(each.reserved)] for each in state.cash}
        for each in self._broker.positions(self._account):
            if each.asset_class is AssetClass.CRYPTO:
                found[each.symbol.partition("/")[0]] = [probe.plain(each.quantity), probe.plain(each.reserved)]
        return found

    def _money(self, theirs: Mapping[str, str]) -> dict[str, str]:
        state = self._broker.account_state(self._account)
        return {each: probe.plain(getattr(state, each)) for each in theirs}

    def _positions(self, theirs: Any) -> list[Any]:
        return [
            {
                "quantity": probe.plain(abs(each.quantity)),
                "side": "long" if each.quantity > 0 else "short",
                "average": probe.plain(each.average_price),
            }
            for each in self._broker.positions(self._account)
        ]

    def _instrument(self, theirs: Mapping[str, str]) -> dict[str, str]:
        found = self._broker.instrument(theirs.get("symbol", self._symbol))
        mine = {"symbol": found.symbol, "tick": probe.plain(found.tick), "lot": probe.plain(found.lot)}
        return {each: value for each, value in mine.items() if each in theirs}

    def _quote(self, theirs: Mapping[str, str]) -> dict[str, str]:
        (found,) = self._broker.quotes([self._symbol])
        return {each: probe.plain(getattr(found, each)) for each in theirs}

    def _rate(self, theirs: Mapping[str, str]) -> dict[str, str]:
        return {"rate": probe.plain(self._broker.exchange_rate("USD", "EUR").rate)}

    def _bars(self, theirs: list[Any]) -> list[Any]:
        found = self._broker.bars(self._symbol, BarSize.MINUTE, limit=len(theirs))
        return [[probe.plain(getattr(each, name)) for name in ("open", "high", "low", "close")] for each in found]

    def _book(self, theirs: Any) -> dict[str, Any]:
        found = self._broker.order_book("BTC/USD", 10)
        return {
            side: [[probe.plain(each.price), probe.plain(each.size)] for each in getattr(found, side)]
            for side in ("bids", "asks")
        }

    def _calendar(self, theirs: list[list[str]]) -> list[Any]:
        told = []
        for day, *_ in theirs:
            found = self._broker.market_hours(day=date.fromisoformat(day))[0]
            ends = (found.opens, found.closes)
            told.append(
                [day, *(each and each.astimezone(ZoneInfo(found.time_zone)).strftime("%H:%M") for each in ends)]
            )
        return told

    def _option(self, theirs: Mapping[str, str]) -> dict[str, str]:
        found = self._broker.instrument(theirs["symbol"])
        return {
            "symbol": found.symbol,
            "multiplier": probe.plain(found.multiplier),
            "expires": found.expiry,
        }

    def _chain(self, theirs: Mapping[str, str]) -> dict[str, str]:
        contract = parse_occ(theirs["symbol"])
        assert contract is not None
        chain = self._broker.option_chain(self._symbol, date.fromisoformat(contract.expiry), strikes=40)
        (found,) = (each for each in chain.contracts if each.symbol == theirs["symbol"])
        return {
            "symbol": found.symbol,
            "bid": probe.plain(found.bid),
            "ask": probe.plain(found.ask),
            "delta": probe.plain(found.delta),
            "volatility": probe.plain(found.implied_volatility),
        }

    def _fees(self, theirs: Any) -> dict[str, str]:
        names = {AssetClass.CRYPTO: "spot", AssetClass.PERPETUAL: "contract"}
        found = self._broker.fees(self._account)
        return {names[each.asset_class]: probe.plain(Decimal(each.rate)) for each in found if each.asset_class in names}
