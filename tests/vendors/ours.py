"""What our adapter reads of the state that a vendor's client left behind, in the form of ``probe``."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from brokers.base import Broker
from brokers.types import AssetClass, BrokerStatus
from tests.vendors import probe

_STATES = {
    BrokerStatus.WORKING: "open",
    BrokerStatus.PARTIALLY_FILLED: "open",
    BrokerStatus.FILLED: "filled",
    BrokerStatus.CANCELLED: "cancelled",
    BrokerStatus.EXPIRED: "expired",
}
_LOOKS = {
    "get_by_our_id": "rests",
    "get_by_their_id": "rests",
    "get_market": "market",
    "get_stop": "stop",
    "get_ioc": "ioc",
    "get_pair": "pair",
    "get_pair_stop": "pair_stop",
    "get_entry": "entry",
    "get_exit": "exit_stop",
    "change_stop": "exit_stop",
    "replace": "moved",
    "cancel_by_their_id": "ended",
    "cancel_by_our_id": "ended_by_our_id",
}
"""Call of the client → the order it looked at."""


class Ours:
    def __init__(self, broker: Broker, symbol: str, ids: Mapping[str, str]) -> None:
        self._broker = broker
        self._symbol = symbol
        self._ids = ids
        self._account = broker.accounts()[0].account_id

    def read(self, call: str, theirs: Any) -> Any:
        """Of the same thing; what the call itself answered where the adapter has nothing to set beside it."""
        if theirs in ("taken", "refused", "cancelled") or call == "list_several":
            return theirs
        if call in _LOOKS:
            return self._order(_LOOKS[call])
        reads: Mapping[str, Callable[[], Any]] = {
            "list_open": self._open,
            "only_validated": self._open,
            "fills": self._fills,
            "balances": self._balances,
            "positions": self._positions,
            "instrument": self._instrument,
            "quote": self._quote,
            "fees": self._fees,
        }
        return reads[call]()

    def _order(self, name: str) -> Any:
        found = self._broker.order(self._account, self._ids[name], symbol=self._symbol)
        if found is None:
            return None
        return probe.order(
            side=found.side,
            status=_STATES.get(found.status, found.status.value),
            quantity=found.quantity,
            filled=found.filled_quantity,
            limit=found.limit_price,
            average=found.average_price,
        )

    def _open(self) -> list[str]:
        return sorted(each.client_order_id for each in self._broker.orders(self._account, open_only=True))

    def _fills(self) -> list[Any]:
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

    def _balances(self) -> dict[str, Any]:
        state = self._broker.account_state(self._account)
        found = {each.currency: [probe.plain(each.total), probe.plain(each.reserved)] for each in state.cash}
        for each in self._broker.positions(self._account):
            if each.asset_class is AssetClass.CRYPTO:
                found[each.symbol.partition("/")[0]] = [probe.plain(each.quantity), probe.plain(each.reserved)]
        return found

    def _positions(self) -> list[Any]:
        return [
            {
                "quantity": probe.plain(abs(each.quantity)),
                "side": "long" if each.quantity > 0 else "short",
                "average": probe.plain(each.average_price),
            }
            for each in self._broker.positions(self._account)
        ]

    def _instrument(self) -> dict[str, str]:
        found = self._broker.instrument(self._symbol)
        return {"tick": probe.plain(found.tick), "lot": probe.plain(found.lot)}

    def _quote(self) -> dict[str, str]:
        (found,) = self._broker.quotes([self._symbol])
        return {name: probe.plain(getattr(found, name)) for name in ("bid", "ask", "last")}

    def _fees(self) -> dict[str, str]:
        names = {AssetClass.CRYPTO: "spot", AssetClass.PERPETUAL: "contract"}
        found = self._broker.fees(self._account)
        return {names[each.asset_class]: probe.plain(Decimal(each.rate)) for each in found if each.asset_class in names}
