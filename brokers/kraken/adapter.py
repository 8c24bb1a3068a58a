"""Kraken spot through ccxt. It has no sandbox, and does not tell whose a key is or what it may do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from brokers import leg_ids
from brokers.crypto import order_checks
from brokers.crypto import parse as crypto_parse
from brokers.crypto.adapter import PAGES, CryptoBroker, environment
from brokers.crypto.client import Venue
from brokers.errors import (
    BrokerError,
    BrokerUnavailable,
    InvalidRequest,
    InvalidSymbol,
    NotCancellable,
    NotSupported,
)
from brokers.kraken import parse
from brokers.kraken import stream as order_updates
from brokers.types import (
    USUAL,
    Ability,
    Account,
    AssetClass,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Earn,
    Environment,
    Instrument,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    TimeInForce,
    Transaction,
    Transfer,
    Unchangeable,
)

ACCOUNT = "spot"
_METHODS = 8
_BATCH = 50
"""Orders that Kraken cancels by one call, at most."""


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    if environment(settings) is not Environment.LIVE:
        raise InvalidRequest("Kraken has no paper trading: use a connection to Tradelatch Paper.", "environment")
    return {}


def _prepare(exchange: Any, settings: Mapping[str, Any]) -> None:
    """Its list of spot markets has currencies and tokens of stocks in it, which ccxt reads as coins."""
    fetched = exchange.fetch_markets
    exchange.fetch_markets = lambda params=None: [{**each, **parse.kind_of(each)} for each in fetched(params or {})]


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
        prepare=_prepare,
        follows_clock=False,
        rising_nonces=True,
    )
    CAPABILITIES = Capabilities(
        abilities=USUAL - {Ability.SCREENING} | {Ability.TRANSFERS, Ability.DEPOSIT_ADDRESSES, Ability.EARN},
        asset_classes=frozenset({AssetClass.CRYPTO, AssetClass.FOREX}),
        order_types=frozenset(OrderType),
        order_classes=frozenset({OrderClass.SIMPLE, OrderClass.OTO}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        pairs=dict.fromkeys((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL), frozenset({TimeInForce.GTC})),
        not_found_after=120.0,
        replace=True,
        never_changes=frozenset({Unchangeable.TIME_IN_FORCE}),
        post_only=True,
        order_stream=True,
    )
    CURRENCY = "USD"
    ROWS = 50
    NAMES = ("id", "cl_ord_id", "pair")

    def connect(self) -> ConnectionInfo:
        self._client.read("private_post_balanceex")
        account = Account(account_id=ACCOUNT, name="Kraken spot", currency=self.CURRENCY, environment=Environment.LIVE)
        return ConnectionInfo(
            accounts=(account,),
            environment=Environment.LIVE,
            can_trade=None,
            can_withdraw=None,
            note="Kraken does not report what a key can do: check there that it cannot withdraw.",
        )

    def order_stream(self) -> order_updates.KrakenStream:
        told = self._client.read("private_post_getwebsocketstoken")
        result = told.get("result") if isinstance(told, dict) else None
        token = result.get("token") if isinstance(result, dict) else None
        if not isinstance(token, str) or not token:
            raise BrokerUnavailable("Kraken gave no token for its order updates.")
        return order_updates.KrakenStream(self._stream_url(order_updates.HOST, order_updates.PATH), token)

    def _check_order(self, request: OrderRequest, found: Instrument, price: Decimal | None = None) -> None:
        super()._check_order(request, found, price)
        order_checks.check_ids(request)

    def _create(self, request: OrderRequest, market: crypto_parse.Answer) -> tuple[str, Any]:
        return "private_post_addorder", parse.order_body(request, market["id"]) | parse.class_in_order(market)

    def _created(self, answer: Any, request: OrderRequest) -> str:
        return parse.created(answer, request)

    def _find(self, client_order_id: str, symbol: str) -> crypto_parse.Answer | None:
        """Open orders first: one that ends while we read moves to the list that is read later. The exit of an order has
        no id of ours there, and names the order that placed it."""
        if (exit_of := leg_ids.parent(client_order_id)) is not None:
            whole = None if exit_of[1] else self._find(exit_of[0], symbol)
            if whole is not None and whole["terms"] is None:
                return {**whole, "clientOrderId": client_order_id}
            if whole is None or not parse.has_close(whole["info"]):
                return None
            return parse.close_of(whole, self._placed_by(whole), datetime.now(UTC))
        for name, key in _LISTS:
            for answer in self._rows(name, key, {"cl_ord_id": client_order_id}):
                if answer.get("clientOrderId") == client_order_id:
                    return answer
        return None

    def _cancel_refused(self, answer: Any, found: crypto_parse.Answer) -> BrokerError | None:
        if parse.cancelled(answer) is False:
            return NotCancellable("Kraken cancelled no order: this one has ended, or cannot be cancelled now.")
        return super()._cancel_refused(answer, found)

    def _placed_by(self, whole: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        """What the conditional close of an order placed. Nothing while the order has not filled."""
        if not crypto_parse.number_or_zero(whole.get("filled")):
            return []
        made = crypto_parse.number_or_zero(whole["info"].get("opentm"))
        found: dict[str, crypto_parse.Answer] = {}
        for name, key in _LISTS:
            start = {} if key == "open" else {"start": str(int(made) - 1)}
            rows = self._rows(name, key, start)
            found |= {each["id"]: each for each in rows if parse.placed_by(each.get("info") or {}) == whole["id"]}
        return list(found.values())

    def _cancel(self, found: crypto_parse.Answer) -> tuple[str, Any]:
        """Where several orders are one exit, all of them that are open."""
        if found.get("is_coming"):
            raise NotSupported("Kraken places this exit as its order fills, and ends it with that: cancel the order.")
        if not found["id"]:
            raise BrokerUnavailable("Kraken has not placed this exit yet. Nothing was cancelled.")
        several = found.get("open_ids") or ()
        if len(several) > 1:
            return "private_post_cancelorderbatch", {"orders": several[:_BATCH]}
        return "private_post_cancelorder", {"txid": found["id"]}

    def _amend(self, found: crypto_parse.Answer, wanted: OrderRequest, changes: OrderChanges) -> tuple[str, Any]:
        if not found.get("is_whole", True):
            raise NotSupported("Kraken changes an exit only once it stands by itself, as one order.")
        return "private_post_amendorder", parse.amend_body(changes, str(found["id"]), post_only=wanted.post_only)

    def _amended(self, answer: Any, found: crypto_parse.Answer, wanted: OrderRequest) -> bool:
        return parse.amended(answer)

    def _listed(self, *, open_only: bool, since: datetime | None, limit: int) -> list[crypto_parse.Answer]:
        found: dict[str, crypto_parse.Answer] = {}
        for name, key in _LISTS[: 1 if open_only else None]:
            start = {} if since is None or key == "open" else {"start": str(int(since.timestamp()))}
            for place, answer in enumerate(self._rows(name, key, start)):
                if place >= limit:
                    break
                found[str(answer["id"])] = answer
        return self._with_exits(list(found.values()))

    def _with_exits(self, answers: list[crypto_parse.Answer]) -> list[crypto_parse.Answer]:
        """The exits of our orders under our ids: those still to be placed beside their order, the others as one."""
        wholes = {each["id"]: each for each in answers if _ours_with_close(each)}
        rows = {each["id"]: parse.placed_by(each.get("info") or {}) for each in answers}
        missing = sorted(set(rows.values()) - {"", *(each["id"] for each in answers)})
        for begin in range(0, len(missing), _QUERIED):
            wanted = ",".join(missing[begin : begin + _QUERIED])
            told = _result(self._client.read("private_post_queryorders", {"txid": wanted, "trades": "true"}), dict)
            read = self._answers([{**row, "id": order_id} for order_id, row in told.items()])
            wholes |= {each["id"]: each for each in read if _ours_with_close(each)}
        exits = []
        for whole in wholes.values():
            placed = [each for each in answers if rows[each["id"]] == whole["id"]]
            if placed or whole["status"] == "open":
                exits.append(parse.close_of(whole, placed, datetime.now(UTC)))
        return [each for each in answers if rows[each["id"]] not in wholes] + exits

    def _rows(self, name: str, key: str, params: dict[str, Any]) -> Iterator[crypto_parse.Answer]:
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
            yield from self._answers([{**row, "id": order_id} for order_id, row in fresh.items()])
            seen.update(fresh)
            if key == "open" or not fresh or len(rows) < self.ROWS:
                return
        raise BrokerUnavailable("Kraken has more orders than could be read at once.")

    def _trades_of(self, answer: crypto_parse.Answer) -> list[crypto_parse.Answer]:
        ids = answer["info"].get("trades") or []
        found: list[crypto_parse.Answer] = self._client.read(
            "fetch_order_trades", answer["id"], answer["symbol"], None, None, {"trades": list(ids)}
        )
        if "fcib" not in str(answer["info"].get("oflags")):
            return found
        coin = self._require(str(answer["symbol"]))["base"]
        return [{**each, "fees": [{**each["fee"], "currency": coin}]} for each in found]

    def _for_library(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its prices may be distances from others, as in ``+5%``."""
        return {**row, "descr": {**(row.get("descr") or {}), "price": "0", "price2": "0"}}

    def _answer(self, row: Mapping[str, Any]) -> crypto_parse.Answer:
        return {**super()._answer(row), "info": row}

    def _terms(self, row: Mapping[str, Any]) -> crypto_parse.VenueTerms:
        return parse.terms(row)

    def _balance(self) -> crypto_parse.Answer:
        rows = _result(self._client.read("private_post_balanceex"), dict)
        return parse.balances(rows, self._coded)

    def _transactions(self, since: int | None, params: dict[str, Any]) -> list[Transaction]:
        asked = {} if since is None else {"start": since // 1000}
        if "until" in params:
            asked["end"] = params["until"] // 1000 + 1
        rows = _result(self._client.read("private_post_ledgers", asked), dict).get("ledger")
        if not isinstance(rows, dict):
            raise BrokerUnavailable("Kraken sent a list of entries that could not be read.")
        told = [{**row, "id": entry_id} for entry_id, row in rows.items()]
        return crypto_parse.readable(told, lambda row: parse.entry(row, self._coded), self.VENUE.title, "ledger entry")

    def _coded(self, name: str) -> tuple[str, bool]:
        code = self._code(name)
        return code, code in self._client.exchange.currencies

    def _money_lists(self, start: datetime | None) -> Sequence[Callable[[datetime | None], list[Transfer]]]:
        """Deposits from their own list. What went out is read in the ledger: the list of withdrawals is not asked for,
        because its call belongs to a right that no key here should have."""
        since = None if start is None else crypto_parse.milliseconds(start)

        def deposits(until: datetime | None) -> list[Transfer]:
            params = {} if until is None else {"until": crypto_parse.milliseconds(until) + 1}
            rows = self._client.read("fetch_deposits", None, since, None, params)
            return crypto_parse.readable(rows, crypto_parse.transfer, self.VENUE.title, "deposit")

        def withdrawals(until: datetime | None) -> list[Transfer]:
            params = {} if until is None else {"until": crypto_parse.milliseconds(until) + 1}
            return crypto_parse.readable(
                self._ledger(since, {"type": "withdrawal", **params}), parse.withdrawal, self.VENUE.title, "withdrawal"
            )

        return [deposits, withdrawals]

    def deposit_addresses(self, account_id: str, asset: str) -> list[DepositAddress]:
        """Of the first 8 ways to deposit the coin: Kraken tells them way by way, and allows few calls."""
        self._check(account_id)
        code, coin = self._coin(asset)
        methods = _result(self._client.read("private_post_depositmethods", {"asset": coin}), list)
        now, found = datetime.now(UTC), []
        for method in [str(each.get("method") or "") for each in methods][:_METHODS]:
            rows = _result(self._client.read("private_post_depositaddresses", {"asset": coin, "method": method}), list)
            found += [parse.deposit_address(row, code, method) for row in rows if parse.is_valid(row, now)]
        return found

    def earn(self, account_id: str, asset: str = "") -> Earn:
        self._check(account_id)
        named = {"asset": self._coin(asset)[1]} if asset else {}
        offers, cursor = [], dict[str, str]()
        for _ in range(PAGES):
            told = _result(self._client.read("private_post_earn_strategies", {**named, **cursor, "limit": 100}), dict)
            offers += [parse.strategy(row, self._code(row.get("asset"))) for row in told.get("items") or []]
            if not told.get("next_cursor"):
                break
            cursor = {"cursor": told["next_cursor"]}
        mine = _result(self._client.read("private_post_earn_allocations", {"hide_zero_allocations": "true"}), dict)
        held = [parse.allocation(row, self._code(row.get("native_asset"))) for row in mine.get("items") or []]
        wanted = self._coin(asset)[0] if asset else ""
        return Earn(
            offers=tuple(each for each in offers if each is not None),
            holdings=tuple(each for each in held if wanted in ("", each.asset)),
        )

    def _coin(self, asset: str) -> tuple[str, str]:
        """Our name for a coin, and Kraken's."""
        self._client.public.load()
        found = self._client.public.exchange.currencies.get(asset.strip().upper())
        if found is None:
            raise InvalidSymbol(f"Kraken has no coin {asset!r}.")
        return str(found["code"]), str(found["id"])

    def _code(self, coin: Any) -> str:
        return str(self._client.exchange.safe_currency_code(str(coin or "")))


def _result(answer: Any, kind: type[Any]) -> Any:
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, kind):
        raise BrokerUnavailable("Kraken sent an answer that could not be read.")
    return result


def _ours_with_close(answer: crypto_parse.Answer) -> bool:
    is_read = answer["terms"] is not None
    return is_read and leg_ids.is_ours(str(answer.get("clientOrderId") or "")) and parse.has_close(answer["info"])


_QUERIED = 50
_LISTS = (("private_post_openorders", "open"), ("private_post_closedorders", "closed"))
