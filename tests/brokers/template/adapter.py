"""An imaginary broker that is only read: what every adapter has to answer before it trades.

Say here which documents it was written from, and whether it was ever run against the broker.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from brokers import http, symbol_lookup
from brokers.base import Extras
from brokers.errors import (
    AuthFailed,
    BrokerUnavailable,
    InvalidAccount,
    InvalidRequest,
    InvalidSymbol,
    NotSupported,
    RateLimited,
)
from brokers.http import Timeouts
from brokers.json_values import number, optional_number, parsing, record, records, text
from brokers.types import (
    Ability,
    Account,
    AccountState,
    AssetClass,
    BrokerOrder,
    Capabilities,
    Cash,
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
)
from brokers.unsupported_calls import Lacking

BROKER = "Imaginary"
_ONLY_READS = f"Orders are not sent to {BROKER} yet."

CAPABILITIES = Capabilities(
    # Name nothing that the adapter does not do: tools, pages and tests follow what stands here.
    abilities=frozenset({Ability.ORDERS}),
    asset_classes=frozenset({AssetClass.STOCK}),
    order_types=frozenset(),
    time_in_force=frozenset(),
    not_found_after=120.0,
)


class TemplateBroker(Lacking, Extras):
    LACKS: ClassVar[Mapping[Ability, str]] = {
        # A sentence for a person, for each of the usual abilities that CAPABILITIES leaves out.
        Ability.BARS: f"{BROKER} has no bars.",
        Ability.TRANSACTIONS: f"{BROKER} does not list transactions.",
        Ability.FILLS: f"{BROKER} lists no fills.",
        Ability.FEES: f"{BROKER} does not report fee rules.",
        Ability.SCREENING: f"{BROKER} does not list instruments.",
        Ability.ORDER_BOOK: f"{BROKER} has no order book.",
        Ability.PRINTS: f"{BROKER} does not list single trades.",
        Ability.MARKET_HOURS: f"{BROKER} tells no hours.",
        Ability.EXCHANGE_RATES: f"{BROKER} does not report exchange rates.",
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        # Shared by all connections to one host, so that each call brings its own credential.
        self._client = http.shared(str(settings["base_url"]).rstrip("/"), BROKER)
        self._headers = {"Authorization": f"Bearer {settings['token']}"}
        self._timeouts = Timeouts(**settings.get("timeouts", {}))

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """``settings``: ``token``, ``base_url``. Calls nobody. Raises InvalidRequest for what cannot be used."""
        if not str(settings.get("token") or "").strip():
            raise InvalidRequest(f"The {BROKER} settings lack token.", "token")
        return cls(settings)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def connect(self) -> ConnectionInfo:
        accounts = tuple(self.accounts())
        # Paper or live is the broker's own word, never what a person ticked.
        return ConnectionInfo(accounts=accounts, environment=accounts[0].environment, can_trade=None, can_withdraw=None)

    def ping(self) -> Health:
        started = time.monotonic()
        self._read("/accounts")
        return Health(latency=time.monotonic() - started, clock_skew=None)

    # -- account -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        with parsing(BROKER):
            return [_account(row) for row in records(self._read("/accounts").get("accounts"))]

    def account_state(self, account_id: str) -> AccountState:
        row = self._row(account_id)
        with parsing(BROKER):
            cash, held = number(row.get("cash")), number(row.get("held"))
            worth = sum((each.market_value for each in self.positions(account_id)), Decimal(0))
            return AccountState(
                account_id=account_id,
                currency="USD",
                cash=(Cash(currency="USD", total=cash, reserved=held),),
                positions_value=worth,
                equity=cash + worth,
                buying_power=cash - held,
                as_of=_now(),
            )

    def positions(self, account_id: str) -> list[Position]:
        self._row(account_id)
        with parsing(BROKER):
            found = []
            for row in records(self._read(f"/accounts/{account_id}/positions").get("positions")):
                known = self.instrument(text(row.get("symbol")))
                quantity, last = number(row.get("quantity")), number(row.get("last"))
                found.append(
                    Position(
                        symbol=known.symbol,
                        asset_class=known.asset_class,
                        currency=known.currency,
                        quantity=quantity,
                        reserved=Decimal(0),
                        average_price=optional_number(row.get("average_price")),
                        last=last,
                        market_value=quantity * last * known.multiplier,
                        unrealized_pnl=None,
                        source=BROKER,
                        as_of=_now(),
                    )
                )
            return found

    # -- instruments and prices --------------------------------------------------------------------------------------

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        with parsing(BROKER):
            rows = records(self._read("/instruments", {"query": query}).get("instruments"))
            found = [_instrument(row) for row in rows]
        return [each for each in found if asset_class in (None, each.asset_class)][:limit]

    def instrument(self, symbol: str) -> Instrument:
        """By its symbol or its instrument_id. Raises InvalidSymbol, AmbiguousSymbol."""
        meant = symbol_lookup.parse_instrument_id(symbol)
        name = symbol if meant is None else meant.name
        found = [each for each in self.find_instruments(name) if each.symbol == name.upper()]
        return symbol_lookup.check_match(meant, symbol_lookup.single_match(symbol, found, BROKER))

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        found = []
        for known in [self.instrument(symbol) for symbol in symbols]:
            with parsing(BROKER):
                row = self._read(f"/quotes/{known.symbol}")
                found.append(
                    Quote(
                        symbol=known.symbol,
                        currency=known.currency,
                        last=number(row.get("last")),
                        bid=number(row.get("bid")),
                        ask=number(row.get("ask")),
                        open=None,
                        high=None,
                        low=None,
                        change=None,
                        change_percent=None,
                        as_of=_now(),
                        source=BROKER,
                        instrument_id=known.instrument_id,
                    )
                )
        return found

    # -- orders ------------------------------------------------------------------------------------------------------

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Our own estimate, where the broker has none."""
        state, (quote,) = self.account_state(account_id), self.quotes([request.symbol])
        price = request.limit_price or (quote.ask if request.side is Side.BUY else quote.bid)
        notional = price * request.units
        return Preview(
            price=price,
            notional=notional,
            fee=Decimal(0),
            cash_effect=-notional if request.side is Side.BUY else notional,
            buying_power=state.buying_power,
            buying_power_currency=state.currency,
            quote=quote,
        )

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        self._row(account_id)
        raise NotSupported(_ONLY_READS)

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """None is proof: only where the broker was asked everywhere an order could be."""
        self._row(account_id)
        return None

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        self._row(account_id)
        return []

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        raise NotSupported(_ONLY_READS)

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        self._row(account_id)
        raise NotSupported(_ONLY_READS)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _row(self, account_id: str) -> dict[str, Any]:
        with parsing(BROKER):
            for row in records(self._read("/accounts").get("accounts")):
                if row.get("id") == account_id:
                    return row
        raise InvalidAccount("This connection has no account with that id.")

    def _read(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._client.read(path, headers=self._headers, params=params, timeouts=self._timeouts)
        match answer.status:
            case 200:
                return record(answer.json())
            case 401:
                raise AuthFailed(f"{BROKER} did not accept this connection's key.")
            case 429:
                raise RateLimited(f"{BROKER} is limiting calls.", retry_after=20.0)
            case 404:
                raise InvalidSymbol(f"{BROKER} does not know what was requested.")
        raise BrokerUnavailable(f"{BROKER} could not answer.")


def _account(row: Mapping[str, Any]) -> Account:
    is_paper = row.get("simulated") is True
    return Account(
        account_id=text(row.get("id")),
        name=text(row.get("name")),
        environment=Environment.PAPER if is_paper else Environment.LIVE,
        currency="USD",
    )


def _instrument(row: Mapping[str, Any]) -> Instrument:
    symbol = text(row.get("symbol"))
    return Instrument(
        symbol=symbol,
        name=text(row.get("name")),
        asset_class=AssetClass.STOCK,
        exchange=text(row.get("exchange")),
        currency="USD",
        tick=number(row.get("tick")),
        lot=Decimal(1),
        minimum=Decimal(1),
        price_source=BROKER,
        fetched_at=_now(),
        ticker=symbol,
    )


def _now() -> datetime:
    return datetime.now(UTC)
