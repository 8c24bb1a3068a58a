"""Kraken spot through ccxt. It has no sandbox, and does not tell whose a key is or what it may do."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from brokers.crypto import words
from brokers.crypto.adapter import PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.errors import BrokerUnavailable, InvalidRequest
from brokers.kraken import parse
from brokers.types import (
    Ability,
    Account,
    AssetClass,
    Capabilities,
    ConnectionInfo,
    Environment,
    OrderChanges,
    OrderRequest,
    OrderType,
    TimeInForce,
)

ACCOUNT = "spot"


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    if environment(settings) is not Environment.LIVE:
        raise InvalidRequest("Kraken has no paper trading: use a connection to Tradelatch Paper.", "environment")
    return {}


class KrakenBroker(CryptoBroker):
    """With ``state_dir`` the nonces of one key rise across all processes; without, only inside this one."""

    VENUE = Venue(
        title="Kraken",
        library_name="kraken",
        codes=parse.CODES,
        per_second=0.33,
        burst=10,
        credentials={"api_key": "apiKey", "secret": "secret"},
        config=_config,
        follows_clock=False,
        rising_nonces=True,
    )
    CAPABILITIES = Capabilities(
        abilities=frozenset(Ability) - {Ability.SCREENING},
        asset_classes=frozenset({AssetClass.CRYPTO}),
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        pairs={
            OrderType.STOP: frozenset({TimeInForce.GTC}),
            OrderType.STOP_LIMIT: frozenset({TimeInForce.GTC}),
        },
        not_found_after=120.0,
        replace=True,
        post_only=True,
    )
    CURRENCY = "USD"
    ROWS = 50

    def connect(self) -> ConnectionInfo:
        self._client.read("private_post_balanceex")
        account = Account(account_id=ACCOUNT, name="Kraken spot", currency=self.CURRENCY, environment=Environment.LIVE)
        return ConnectionInfo(
            accounts=(account,),
            environment=Environment.LIVE,
            can_trade=None,
            can_withdraw=None,
            note="Kraken does not tell what a key may do: look there that it cannot withdraw.",
        )

    def _create(self, request: OrderRequest, market: words.Answer) -> tuple[str, Any]:
        return "private_post_addorder", parse.order_body(request, market["id"])

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request)

    def _find(self, client_order_id: str, symbol: str) -> words.Answer | None:
        """Open orders first: one that ends while we read moves to the list that is read later."""
        for name, key in _LISTS:
            for answer in self._rows(name, key, {"cl_ord_id": client_order_id}):
                if answer.get("clientOrderId") == client_order_id:
                    return answer
        return None

    def _cancel(self, found: words.Answer) -> tuple[str, Any]:
        return "private_post_cancelorder", {"txid": found["id"]}

    def _amend(self, found: words.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        return "private_post_amendorder", parse.amend_body(changes, str(found["id"]), post_only=wanted.post_only)

    def _amended(self, answer: Any, found: words.Answer, wanted: OrderRequest) -> bool:
        return parse.amended(answer)

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[words.Answer]:
        found: dict[str, words.Answer] = {}
        for name, key in _LISTS[: 1 if open_only else None]:
            start = {} if since is None or key == "open" else {"start": str(int(since.timestamp()))}
            for place, answer in enumerate(self._rows(name, key, start)):
                if place >= limit:
                    break
                found[str(answer["id"])] = answer
        return list(found.values())

    def _rows(self, name: str, key: str, params: dict[str, Any]) -> Iterator[words.Answer]:
        """Raises BrokerUnavailable when there are more than we read."""
        seen: set[str] = set()
        for _ in range(PAGES):
            offset = {"ofs": str(len(seen))} if seen else {}
            answer = self._client.read(name, {"trades": "true", **params, **offset})
            result = answer.get("result") if isinstance(answer, dict) else None
            rows = result.get(key) if isinstance(result, dict) else None
            if not isinstance(rows, dict):
                raise BrokerUnavailable("Kraken sent a list of orders that could not be read.")
            fresh = {order_id: row for order_id, row in rows.items() if order_id not in seen}
            yield from (self._client.exchange.parse_order({**row, "id": order_id}) for order_id, row in fresh.items())
            seen.update(fresh)
            if key == "open" or not fresh or len(rows) < self.ROWS:
                return
        raise BrokerUnavailable("Kraken has more orders than could be read at once.")

    def _trades_of(self, answer: words.Answer) -> list[words.Answer]:
        ids = answer["info"].get("trades") or []
        found: list[words.Answer] = self._client.read(
            "fetch_order_trades", answer["id"], answer["symbol"], None, None, {"trades": list(ids)}
        )
        return found


_LISTS = (("private_post_openorders", "open"), ("private_post_closedorders", "closed"))
