"""NinjaTrader 8 through CrossTrade's REST API: futures, one NinjaTrader account per connection.

Written from CrossTrade's documents and never run against CrossTrade itself. An order carries our id as its
``orderId``, by which it can be found; but older add-ons do not take it, so an order that is not found may stand all
the same, and a person has to look.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self
from urllib.parse import quote as in_path

from brokers import http, symbol_lookup
from brokers.base import Extras
from brokers.crosstrade import parse, rules
from brokers.errors import (
    AmbiguousSymbol,
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    CannotTell,
    DuplicateClientId,
    InsufficientFunds,
    InvalidAccount,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    NotCancellable,
    NotSent,
    NotSupported,
    PermissionDenied,
    RateLimited,
    Rejected,
    UnknownOutcome,
)
from brokers.http import Garbled, HttpAnswer, Timeouts
from brokers.json_values import parsing, quoted_text, record, records, text
from brokers.types import (
    Ability,
    Account,
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Capabilities,
    ConnectionInfo,
    Environment,
    Health,
    Instrument,
    OrderChanges,
    OrderRequest,
    Position,
    Preview,
    Quote,
    Side,
    Unreadable,
)
from brokers.unknown_words import UnknownWords
from brokers.unsupported_calls import Lacking

BROKER = "CrossTrade"
URL = "https://app.crosstrade.io"
_PREFIX = "/v1/api"
_MOST_BARS = 5000
_RETRY_AFTER = 20.0
_CONTRACT_DAYS = timedelta(days=1)

_contracts: dict[str, dict[str, Instrument]] = {}
"""By address and name: every quote tells its contract's steps anew."""


class CrossTradeBroker(Lacking, Extras):
    LACKS: ClassVar[Mapping[Ability, str]] = {
        Ability.TRANSACTIONS: f"{BROKER} does not list transactions.",
        Ability.FILLS: f"{BROKER} reports executions of the last 15 minutes only.",
        Ability.FEES: f"{BROKER} does not report what NinjaTrader's broker charges.",
        Ability.SCREENING: f"{BROKER} does not list instruments.",
        Ability.ORDER_BOOK: f"{BROKER} has no order book.",
        Ability.PRINTS: f"{BROKER} does not list single trades.",
        Ability.MARKET_HOURS: f"{BROKER} reports the hours of one contract, not of a market.",
        Ability.EXCHANGE_RATES: f"{BROKER} does not report exchange rates.",
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        url = str(settings.get("base_url") or URL).rstrip("/")
        self._client = http.shared(url, BROKER)
        self._headers = {"Authorization": f"Bearer {settings['token']}"}
        self._name: str = settings["account"]
        self._simulation = settings.get("simulation") is True
        self._timeouts = Timeouts(**settings.get("timeouts", {"read": 15.0, "total": 30.0}))
        self._known = _contracts.setdefault(url, {})
        self._unknown = UnknownWords()

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """``settings``: ``token``; ``account``, NinjaTrader's name for it; ``simulation``, true where the person
        said that it is NinjaTrader's simulator. ``timeouts`` in seconds. Raises InvalidRequest."""
        for name in ("token", "account"):
            if not re.fullmatch(r"[!-~][ -~]{0,200}", str(settings.get(name) or "")):
                raise InvalidRequest(f"The CrossTrade settings lack {name}.", name)
        return cls(settings)

    @property
    def capabilities(self) -> Capabilities:
        return rules.CAPABILITIES

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        return self._unknown()

    def connect(self) -> ConnectionInfo:
        account = self._account()
        return ConnectionInfo(
            accounts=(account,),
            environment=account.environment,
            can_trade=True,
            can_withdraw=False,
            note="CrossTrade cannot move money, but one key reaches every account in NinjaTrader.",
        )

    def ping(self) -> Health:
        started = time.monotonic()
        self._told_of_account()
        return Health(latency=time.monotonic() - started, clock_skew=None)

    # -- account -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        return [self._account()]

    def account_state(self, account_id: str) -> AccountState:
        self._check(account_id)
        with parsing(BROKER):
            return parse.account_state(account_id, self._told_of_account(), _now())

    def positions(self, account_id: str) -> list[Position]:
        self._check(account_id)
        with parsing(BROKER):
            rows = records(self._read(f"{self._path}/positions").get("positions"))
            held = [row for row in rows if row.get("marketPosition") != "Flat"]
            return self._unknown.read_each(held, self._position, parse.position_name)

    def _position(self, row: Mapping[str, Any]) -> Position:
        try:
            known = self.instrument(text(row.get("instrument")))
        except InvalidSymbol as error:
            raise Garbled("in a contract that cannot be traded here") from error
        return parse.position(row, known, _now())

    # -- instruments and prices --------------------------------------------------------------------------------------

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        """CrossTrade has no search: what is found is the contract named in full."""
        if by_name or asset_class not in (None, AssetClass.FUTURE):
            return []
        try:
            return [self.instrument(query.upper())]
        except InvalidSymbol:
            return []

    def instrument(self, symbol: str) -> Instrument:
        meant = symbol_lookup.parse_instrument_id(symbol)
        name = symbol if meant is None else parse.native_symbol(meant)
        if not name and meant is not None:
            raise InvalidSymbol(f"{BROKER} has no instrument {meant}: it trades only futures.")
        known = self._known.get(name)
        if known is None or known.fetched_at is None or _now() - known.fetched_at > _CONTRACT_DAYS:
            self._quoted([name])
            known = self._known[name]
        return symbol_lookup.check_match(meant, known)

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        names = [
            symbol if symbol_lookup.parse_instrument_id(symbol) is None else self.instrument(symbol).symbol
            for symbol in symbols
        ]
        with parsing(BROKER):
            return [parse.quote(told, self._known[text(told.get("instrument"))]) for told in self._quoted(names)]

    def _quoted(self, symbols: Sequence[str]) -> list[dict[str, Any]]:
        """One row per symbol, in the order asked; what each is, is known from then on. Raises InvalidSymbol."""
        for symbol in symbols:
            if not parse.is_dated(symbol):
                raise AmbiguousSymbol(
                    f'Name the contract with its month, such as "ES 12-26" or FUT:ES.USD:2026-12, not {symbol[:40]!r}: '
                    "a root or continuous symbol means a different contract after each roll."
                )
        rows = []
        for symbol in symbols:
            try:
                told = self._read("/market/quote", {"instrument": symbol})
                known = parse.instrument(told, _now())
            except (InvalidRequest, Garbled) as error:
                raise InvalidSymbol(f"{BROKER} has no future called {symbol!r} that can be traded here.") from error
            if known.symbol != symbol:
                raise InvalidSymbol(f"{BROKER} takes {symbol!r} for another contract.")
            self._known[symbol] = known
            rows.append(told)
        return rows

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        known, until = self.instrument(symbol), min(end or _now(), _now())
        asked = min(max(limit, 1), _MOST_BARS)
        kind, period = parse.BAR_SIZES[size]
        days = max(1, asked * size.seconds // 43_200 + 4)
        body = {"instrument": known.symbol, "periodType": kind, "period": period, "limit": _MOST_BARS}
        body |= {"from": _stamp(start)} if start else {"daysBack": days}
        body |= {"to": _stamp(until)} if end else {}
        with parsing(BROKER):
            told = parse.bars(self._ask("/market/bars", body), size)
        whole = [bar for bar in sorted(told, key=lambda bar: bar.start) if bar.start < until]
        return [bar for bar in whole if start is None or bar.start >= start][-asked:]

    # -- orders ------------------------------------------------------------------------------------------------------

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Our own estimate: CrossTrade has none, and tells neither fee nor margin. ``notional`` is what is moved."""
        state = self.account_state(account_id)
        (quote,) = self.quotes([request.symbol])
        known = self._known[quote.symbol]
        rules.check(request, known)
        price = request.limit_price or request.stop_price or (quote.ask if request.side is Side.BUY else quote.bid)
        return Preview(
            price=price,
            notional=price * request.units * known.multiplier,
            fee=Decimal(0),
            cash_effect=Decimal(0),
            buying_power=state.buying_power,
            buying_power_currency=state.currency,
            quote=quote,
        )

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self._check(account_id)
        known = self.instrument(request.symbol)
        rules.check(request, known)
        told = self._write(f"{self._path}/orders/place", parse.ticket(request, known.symbol))
        try:
            broker_order_id = text(told.get("orderId"))
        except Garbled as error:
            raise UnknownOutcome(f"{BROKER} gave no clear answer. The order may be open.") from error
        return BrokerOrder(
            broker_order_id=broker_order_id,
            client_order_id=request.client_order_id,
            status=BrokerStatus.WORKING,
            filled_quantity=Decimal(0),
            average_price=None,
            fees=Decimal(0),
            updated_at=_now(),
            symbol=known.symbol,
            currency=known.currency,
        )

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """Never None: raises CannotTell where no order goes by our id, which proves nothing here."""
        self._check(account_id)
        path = f"{self._path}/orders/{_id(client_order_id)}"
        try:
            told = self._read(path)
        except InvalidRequest as error:
            raise CannotTell(
                "NinjaTrader has no order by this id, and an older CrossTrade add-on does not keep our ids. Check in "
                "NinjaTrader whether the order is open."
            ) from error
        with parsing(BROKER):
            other = told.get("originalOrderId") not in (None, client_order_id)
            if other or (symbol and told.get("instrument") != symbol):
                raise Garbled("This is another order.")
            return parse.order(told, client_order_id, self._unknown)

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        """Those of NinjaTrader's present session."""
        self._check(account_id)
        with parsing(BROKER):
            rows = records(self._read(f"{self._path}/orders").get("orders"))
            found = self._unknown.read_each(
                rows,
                lambda row: parse.order(row, str(row.get("originalOrderId") or ""), self._unknown),
                parse.order_name,
            )
        found.sort(key=lambda order: order.updated_at, reverse=True)
        return [
            order
            for order in found
            if (order.status.is_open or not open_only) and (since is None or order.updated_at >= since)
        ][: max(limit, 0)]

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        raise NotSupported(
            f"{BROKER} replaces a changed order with one that would not have our id. Cancel it and send another."
        )

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        current = self.order(account_id, client_order_id, symbol=symbol)
        assert current is not None
        if not current.status.is_open:
            raise NotCancellable(f"This order is already {current.status}.")
        try:
            self._write(f"{self._path}/orders/{_id(client_order_id)}/cancel", {})
        except (AuthFailed, PermissionDenied):
            raise
        except Rejected as error:
            raise NotCancellable(str(error)) from error
        return current  # only a later look tells that it ended

    # -- pieces ------------------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return f"/accounts/{in_path(self._name, safe='')}"

    def _check(self, account_id: str) -> None:
        if account_id != self._name:
            raise InvalidAccount("This connection has no account with that id.")

    def _told_of_account(self) -> dict[str, Any]:
        try:
            told = self._read(self._path)
        except InvalidRequest as error:
            raise InvalidAccount(f"NinjaTrader has no account called {self._name!r}.") from error
        if str(told.get("name", "")).casefold() != self._name.casefold():
            raise InvalidAccount(f"NinjaTrader has no account called {self._name!r}.")
        return told

    def _account(self) -> Account:
        """Paper only where NinjaTrader's own name and provider say so and the person said it too."""
        told = self._told_of_account()
        simulated = re.fullmatch(r"Sim[0-9]+", self._name) and told.get("provider") == "Simulator"
        paper = bool(simulated) and self._simulation
        with parsing(BROKER):
            return Account(
                account_id=self._name,
                name=str(told.get("displayName") or self._name),
                currency=parse.currency(told),
                environment=Environment.PAPER if paper else Environment.LIVE,
            )

    def _read(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._client.read(_PREFIX + path, headers=self._headers, params=params, timeouts=self._timeouts)
        return self._judged(answer)

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST that changes nothing."""
        try:
            return self._judged(self._post(path, body))
        except (NotSent, UnknownOutcome) as error:
            raise BrokerUnavailable(f"{BROKER} could not be reached.") from error

    def _post(self, path: str, body: Mapping[str, Any]) -> HttpAnswer:
        return self._client.write("POST", _PREFIX + path, headers=self._headers, body=body, timeouts=self._timeouts)

    def _judged(self, answer: HttpAnswer) -> dict[str, Any]:
        """The body of a read, or what its status and its own words say."""
        if answer.status == 401:
            raise AuthFailed(f"{BROKER} did not accept this connection's key.")
        if answer.status == 403:
            raise PermissionDenied(f"{BROKER} does not let this key do that. It needs the Pro plan.")
        if answer.status == 408:
            raise BrokerUnavailable("NinjaTrader is not running, or its CrossTrade add-on is not connected.")
        if answer.status == 429:
            raise RateLimited(f"{BROKER} is limiting calls.", retry_after=_RETRY_AFTER)
        told, error = _body(answer)
        if (error and 400 <= answer.status < 500) or (error and answer.status < 300):
            raise InvalidRequest(f"{BROKER} refused: {error}", "request")
        if told is None or not 200 <= answer.status < 300 or told.get("success") is False:
            raise BrokerUnavailable(f"{BROKER} gave an answer that could not be understood.")
        return told

    def _write(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Sent once. 408, which is NinjaTrader out of reach, is unknown: it may have been passed on before."""
        answer = self._post(path, body)
        told, error = _body(answer)
        if answer.undecided or (told is None and answer.status != 401):
            raise UnknownOutcome(f"{BROKER} gave no clear answer. The order may be open.")
        if answer.status == 401:
            raise AuthFailed(f"{BROKER} did not accept this connection's key.")
        if error and told is not None and told.get("success") is not True:
            raise _refusal(answer.status, error)
        if told is None or told.get("success") is not True or answer.status >= 300:
            raise UnknownOutcome(f"{BROKER} gave no clear answer. The order may be open.")
        return told


_MEANINGS: tuple[tuple[type[BrokerError], tuple[str, ...]], ...] = (
    (UnknownOutcome, ("timeout", "timed out", "no response", "internal")),
    (InsufficientFunds, ("margin", "buying power", "insufficient")),
    (MarketClosed, ("market is closed", "market_closed", "outside trading hours")),
    (InvalidSymbol, ("invalid_instrument", "unknown instrument", "instrument not found")),
)


def _refusal(status: int, error: str) -> BrokerError:
    """What CrossTrade's words to a write mean. Who timed out may have passed it on before."""
    low = error.casefold()
    if "duplicate" in low:
        return DuplicateClientId(f"{BROKER} already has an order with this id.")
    kind = next((kind for kind, marks in _MEANINGS if any(each in low for each in marks)), Rejected)
    if kind is UnknownOutcome:
        return UnknownOutcome(f"{BROKER} gave no clear answer: {error}. The order may be open.")
    return (PermissionDenied if status == 403 and kind is Rejected else kind)(f"{BROKER} refused: {error}")


def _body(answer: HttpAnswer) -> tuple[dict[str, Any] | None, str]:
    """The object that was sent, and the error it tells."""
    try:
        told = record(answer.json())
    except Garbled:
        return None, ""
    error, detail = quoted_text(told.get("error")), quoted_text(told.get("detail"))
    return told, f"{error}: {detail}" if error and detail else error


def _id(client_order_id: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", client_order_id):
        raise InvalidRequest("An order's id is 32 lower-case hexadecimal digits.", "client_order_id")
    return client_order_id


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _now() -> datetime:
    return datetime.now(UTC)
