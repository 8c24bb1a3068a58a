"""The types every broker adapter uses: frozen values, exact decimals, aware UTC times.

Money and quantities are ``Decimal`` built from text, never from a float. ``None`` means "not known",
which is not zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from brokers import instrument_id
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.spreads import Spread

LONGEST_SYMBOL = instrument_id.LONGEST
"""Maximum length of a name used to look an instrument up."""


class Environment(StrEnum):
    PAPER = "paper"
    LIVE = "live"


class AssetClass(StrEnum):
    STOCK = "stock"
    ETF = "etf"
    CRYPTO = "crypto"
    """Coins bought and held."""
    PERPETUAL = "perpetual"
    """A contract on a coin or an index that never expires."""
    FUTURE = "future"
    OPTION = "option"
    FOREX = "forex"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP_LIMIT"
    TRAIL = "TRAIL"
    """A stop that follows the price at a distance, ``trail_amount`` or ``trail_percent``, and never goes back."""

    @property
    def needs_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)

    @property
    def needs_trail(self) -> bool:
        return self is OrderType.TRAIL


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    """Fills what it can immediately; the rest is cancelled."""
    FOK = "FOK"
    """All of it immediately, or nothing."""
    OPG = "OPG"
    """At the next open only."""
    CLS = "CLS"
    """At the next close only."""


class OrderClass(StrEnum):
    """How the orders of one request belong together. See ``OrderRequest.legs``."""

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class BarSize(StrEnum):
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        return {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}[self.value]


class BrokerStatus(StrEnum):
    """The status of an order at the broker. Ours are richer: see ``console.orders.states``."""

    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        return self in (BrokerStatus.WORKING, BrokerStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    symbol: str
    name: str
    asset_class: AssetClass
    exchange: str
    currency: str
    tick: Decimal
    """Smallest price step, in ``currency``."""
    lot: Decimal
    """Smallest quantity step, in units of the instrument."""
    minimum: Decimal
    """Smallest quantity of one order."""
    price_source: str
    """Where its prices come from, in words a person can read."""
    multiplier: Decimal = Decimal(1)
    """Units of value per unit of price and quantity: 1 for stocks and coins."""
    hours: str = ""
    """When it trades, in words a person can read."""
    shortable: bool | None = None
    minimum_notional: Decimal | None = None
    """Smallest price x quantity x multiplier of one order, in ``currency``; None if the broker does not report one."""
    base: str = ""
    """What is bought, for coins and forex: BTC of BTC/USDT."""
    settle: str = ""
    """What a contract pays out in."""
    expires: datetime | None = None
    fetched_at: datetime | None = None
    """When the broker reported these rules; None for our own rules."""
    ticker: str = ""
    """The common ticker, or the root of an option or a future, where ``symbol`` is the broker's own."""
    venue: str = ""
    """Where it is listed, as ``brokers.instrument_id`` has it; empty if the broker does not report it."""
    expiry: str = ""
    """Of an option the last day, ``2026-12-18``; of a listed future the month of delivery, ``2026-09``."""
    right: str = ""
    """Of an option: ``C`` or ``P``."""
    strike: Decimal | None = None
    spread: Spread | None = None
    """Of several options traded as one: what each is. Its prices are those of one spread bought."""

    @property
    def identity(self) -> InstrumentId | None:
        """Which instrument it is, at whatever broker; None if the broker reports too little to say, and of a spread."""
        if self.spread is not None:
            return None
        return _identity(
            self.asset_class,
            self.ticker or self.base or self.symbol.partition("/")[0],
            self.currency,
            self.settle,
            self.expiry,
            self.right,
            self.strike,
            self.venue,
        )

    @property
    def instrument_id(self) -> str:
        """``STK:AAPL.USD@XNAS``, see ``brokers.instrument_id``; empty where there is none."""
        found = self.identity
        return "" if found is None else str(found)


_KINDS = {
    AssetClass.STOCK: InstrumentKind.STOCK,
    AssetClass.ETF: InstrumentKind.ETF,
    AssetClass.CRYPTO: InstrumentKind.CRYPTO,
    AssetClass.PERPETUAL: InstrumentKind.PERPETUAL,
    AssetClass.FUTURE: InstrumentKind.FUTURE,
    AssetClass.OPTION: InstrumentKind.OPTION,
    AssetClass.FOREX: InstrumentKind.FOREX,
}


@lru_cache(maxsize=16_384)
def _identity(
    asset_class: AssetClass,
    name: str,
    currency: str,
    settle: str,
    expiry: str,
    right: str,
    strike: Decimal | None,
    venue: str,
) -> InstrumentId | None:
    made = InstrumentId(
        kind=_KINDS[asset_class],
        name=name,
        currency=currency,
        settle=settle,
        expiry=expiry,
        right=right,
        strike=strike,
        venue=venue,
    )
    try:
        return made if instrument_id.parse(str(made)) == made else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """Cash that holders are paid."""

    ex_date: date
    """Who buys on this day or later does not get it."""
    amount: Decimal | None
    """A unit, in ``currency``; None where it is not announced yet."""
    currency: str
    paid_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentEvents:
    """What is ahead for an instrument. None: nothing is known, or ``Capabilities.events`` does not have it."""

    next_dividend: Dividend | None = None
    earnings_date: date | None = None
    is_halted: bool | None = None
    """Whether its exchange has stopped trading in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of several instruments that a name may mean."""

    symbol: str
    """What to ask for to mean this one."""
    instrument_id: str
    name: str
    exchange: str
    expiry: str = ""


def candidate(one: Instrument) -> Candidate:
    expiry = one.expiry or (one.expires.date().isoformat() if one.expires else "")
    return Candidate(
        symbol=one.symbol, instrument_id=one.instrument_id, name=one.name, exchange=one.exchange, expiry=expiry
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    symbol: str
    currency: str
    last: Decimal
    bid: Decimal
    ask: Decimal
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    """First, highest and lowest price of the last 24 hours."""
    change_percent: Decimal | None
    as_of: datetime
    source: str
    recorded_at: datetime | None = None
    """Replay only: when the price was really seen."""
    change: Decimal | None = None
    """``last`` less the price 24 hours before it, in ``currency``."""
    volume: Decimal | None = None
    """Units traded in the last 24 hours."""
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    instrument_id: str = ""
    """The instrument's, at whatever broker: see ``Instrument``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    account_id: str
    name: str
    currency: str
    environment: Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionInfo:
    """What the broker itself says about a connection and its key."""

    accounts: tuple[Account, ...]
    environment: Environment
    can_trade: bool | None
    can_withdraw: bool | None
    """None: the broker does not report it. A key that can withdraw must not be kept."""
    key_expires: datetime | None = None
    note: str = ""
    """What the owner should know about this key, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    latency: float
    """Seconds one small call took."""
    clock_skew: float | None
    """Seconds the broker's clock is ahead of ours; None where it does not tell the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash:
    currency: str
    total: Decimal
    reserved: Decimal
    """Reserved for open buy orders, including their fees."""
    settled: Decimal | None = None
    """What of ``total`` has settled; None if the broker does not report it."""

    @property
    def unsettled(self) -> Decimal:
        """Proceeds of sales that cannot be spent yet, as far as the broker reports it."""
        return Decimal(0) if self.settled is None else self.total - self.settled

    @property
    def available(self) -> Decimal:
        return self.total - self.reserved - self.unsettled


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    account_id: str
    currency: str
    cash: tuple[Cash, ...]
    positions_value: Decimal
    equity: Decimal
    buying_power: Decimal
    as_of: datetime
    initial_margin: Decimal | None = None
    """Initial margin of the positions, in ``currency``; None for a cash account."""
    maintenance_margin: Decimal | None = None
    """Maintenance margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEquity:
    """Of an ``AccountState`` what needs no look at the orders that rest, in ``currency``."""

    account_id: str
    currency: str
    equity: Decimal
    cash: Decimal
    """What open orders hold of it included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    symbol: str
    asset_class: AssetClass
    currency: str
    quantity: Decimal
    reserved: Decimal
    """Reserved for open sell orders."""
    average_price: Decimal | None
    """Average price paid per unit, fees not included; None if the broker does not keep it."""
    last: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal | None
    source: str
    as_of: datetime | None = None
    """When ``last`` traded."""
    leverage: Decimal | None = None
    """How many times its margin it is worth; None if the broker does not report it, or it has none."""
    margin_mode: str = ""
    """``cross``: all of the account stands for it; ``isolated``: its own margin alone. Empty as above."""

    def is_in(self, symbol: str, asset_class: str) -> bool:
        """Whether orders in ``symbol`` buy or sell it: a coin is one holding, by whichever of its pairs it is told."""
        if self.symbol == symbol:
            return True
        coin = coin_of(symbol, asset_class)
        return bool(coin) and coin == coin_of(self.symbol, self.asset_class)


def coin_of(symbol: str, asset_class: str) -> str:
    """What a pair of coins buys and sells: ``BTC`` of ``BTC/EUR``; empty for everything else."""
    coin, slash, _ = symbol.partition("/")
    return coin if slash and asset_class == AssetClass.CRYPTO else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRequest:
    """A further order of the same request, in the same symbol, looked up by its own ``client_order_id``."""

    client_order_id: str
    side: Side
    order_type: OrderType
    tif: TimeInForce = TimeInForce.GTC
    quantity: Decimal | None = None
    """None: as many units as the order it is attached to."""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it is sent. ``client_order_id`` is ours: 32 lower-case hex digits."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    """In units of the instrument; None when ``notional`` is given instead."""
    tif: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    notional: Decimal | None = None
    """Market orders only: what to spend or raise, in the instrument's currency, fee not included."""
    trail_amount: Decimal | None = None
    """How far a TRAIL stop stays behind the best price since it was placed, in the instrument's currency."""
    trail_percent: Decimal | None = None
    """The same in percent of that price: 5 is five percent. One of the two, never both."""
    outside_rth: bool = False
    """Can also fill before and after regular hours."""
    reduce_only: bool = False
    """Never opens or reverses a position: anything beyond it is not filled."""
    post_only: bool = False
    """Refused if it would trade immediately."""
    order_class: OrderClass = OrderClass.SIMPLE
    legs: tuple[LegRequest, ...] = ()
    """SIMPLE: none. BRACKET: a profit target and a stop, both on the other side, which wait until this order
    fills; when one of them fills the other ends. OCO: one, live at once; what fills of either ends or shrinks
    the other. OTO: one or more, which wait until this order fills."""

    @property
    def units(self) -> Decimal:
        """The quantity of an order that was given one. Raises ValueError for one by notional."""
        if self.quantity is None:
            raise ValueError("An order by notional has no quantity before it fills.")
        return self.quantity

    @property
    def take_profit(self) -> LegRequest | None:
        """The profit target of a bracket."""
        return self._exit(OrderType.LIMIT)

    @property
    def stop_loss(self) -> LegRequest | None:
        """The protective stop of a bracket."""
        return self._exit(OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL)

    def _exit(self, *kinds: OrderType) -> LegRequest | None:
        if self.order_class is not OrderClass.BRACKET:
            return None
        return next((leg for leg in self.legs if leg.order_type in kinds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanges:
    """What to change in a resting order. None: no change."""

    quantity: Decimal | None = None
    """The new total quantity, including what has filled."""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    tif: TimeInForce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    fill_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    filled_at: datetime
    source: str
    model: str = ""
    """Paper only: the fee and slippage preset it was made under, with its version."""
    fee_asset: str = ""
    """What the fee was charged in, where that is not ``currency``."""
    fee_charged: Decimal | None = None
    """The fee in ``fee_asset``. ``fee`` is its worth at this fill's price, and 0 where that price cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    broker_order_id: str
    client_order_id: str
    status: BrokerStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    fees: Decimal
    updated_at: datetime
    reason: str = ""
    """The broker's own words, when it ended the order early."""
    fills: tuple[Fill, ...] = field(default=())
    symbol: str = ""
    side: Side | None = None
    order_type: OrderType | None = None
    tif: TimeInForce | None = None
    quantity: Decimal | None = None
    """In units. With ``symbol``, ``side`` and the prices: what is needed to show an order made elsewhere."""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    """The current stop price of a trailing stop."""
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    currency: str = ""
    order_class: OrderClass = OrderClass.SIMPLE
    parent_client_order_id: str = ""
    """The order this leg is attached to."""
    held: bool = False
    """It waits for its parent to fill, and cannot fill itself before."""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginEffect:
    """What an order would do to the margin of its account, by the broker's own arithmetic, in ``currency``."""

    currency: str
    available: Decimal
    """What is free for initial margin before the order."""
    initial_change: Decimal
    """Signed change of the initial margin: negative for an order that makes a position smaller."""
    initial_after: Decimal
    maintenance_change: Decimal
    maintenance_after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an order would do, by the broker's own arithmetic. Sends nothing."""

    price: Decimal
    """Price per unit the estimate rests on."""
    notional: Decimal
    fee: Decimal
    cash_effect: Decimal
    """Signed change of cash, fee included: negative for a buy."""
    buying_power: Decimal
    """Buying power before the order."""
    buying_power_currency: str
    """What ``buying_power`` is counted in, and what this order draws on with every other of the same: the account's
    one currency where it has one buying power over all, the order's own where each currency stands for itself."""
    quote: Quote
    instrument: Instrument | None = None
    """What it trades, as ``Broker.instrument`` has it; None where the estimate does not come with it."""
    margin: MarginEffect | None = None
    """None for a cash account, and where the broker does not report it."""
    notes: tuple[str, ...] = ()
    """What the account's own settings at the broker mean for it, a sentence each."""
    held_back: Decimal = Decimal(0)
    """What must be there for it where that is more than it costs: the most that several options together can lose."""

    @property
    def drawn(self) -> Decimal:
        """What it takes of the buying power, in the currency of its price; 0 where it takes none."""
        return max(-self.cash_effect, self.held_back, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    transaction_id: str
    at: datetime
    kind: str
    """``deposit``, ``trade``, ``fee``, ``transfer``, ``dividend``, ``split``, ``borrow``, ``interest`` or ``reset``."""
    currency: str
    amount: Decimal
    """Signed change of cash."""
    symbol: str = ""
    quantity: Decimal | None = None
    """Signed change of position."""
    price: Decimal | None = None
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something in an answer of a broker that its adapter does not know."""

    row: str
    """Which row it was found in, such as ``order 1234`` or ``position IPOX``."""
    word: str
    """What it was, such as ``status pending_review``, as the broker wrote it."""
    left_out: bool = False
    """The row is missing from the list that was returned; else it is there, without what this word says."""

    def __str__(self) -> str:
        return f"{self.row}: {self.word}" + (", left out" if self.left_out else "")


class Ability(StrEnum):
    """What not every broker's interface can do. A tool that needs one is not listed where it is missing."""

    BARS = "bars"
    TRANSACTIONS = "transactions"
    FILLS = "fills"
    FEES = "fees"
    ORDER_BOOK = "order_book"
    PRINTS = "prints"
    SCREENING = "screening"
    MARKET_HOURS = "market_hours"
    EXCHANGE_RATES = "exchange_rates"
    ORDERS = "orders"
    OPTION_CHAINS = "option_chains"
    FUTURES = "futures_contracts"
    FUNDING_RATES = "funding_rates"
    TRANSFERS = "transfers"
    DEPOSIT_ADDRESSES = "deposit_addresses"
    EARN = "earn_offers"


USUAL = frozenset(Ability) - {
    Ability.OPTION_CHAINS,
    Ability.FUTURES,
    Ability.FUNDING_RATES,
    Ability.TRANSFERS,
    Ability.DEPOSIT_ADDRESSES,
    Ability.EARN,
}
"""What a broker has unless it says otherwise; each of the rest it names, and has the method of ``base.Extras``."""


class InstrumentEvent(StrEnum):
    """What a broker may report of an instrument besides its prices."""

    DIVIDEND = "next_dividend"
    EARNINGS = "earnings_date"
    HALT = "trading_halt"


class Adjustment(StrEnum):
    """What bars are corrected for."""

    NONE = "none"
    SPLITS = "splits"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Level:
    price: Decimal
    size: Decimal
    """Units of the instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBook:
    symbol: str
    currency: str
    bids: tuple[Level, ...]
    """Highest price first."""
    asks: tuple[Level, ...]
    """Lowest price first."""
    as_of: datetime
    source: str
    simulated: bool
    """The depth is computed: no such orders rest anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    at: datetime
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
    symbol: str
    currency: str
    prints: tuple[Print, ...]
    """Newest first."""
    source: str
    note: str = ""
    """What one print stands for, where it is not one trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRule:
    asset_class: AssetClass
    basis: str
    """``notional``: ``rate`` is a share of price times quantity; ``unit``: money per unit."""
    rate: Decimal
    minimum: Decimal
    """Least fee of one order, in the instrument's currency."""
    words: str


class SessionState(StrEnum):
    OPEN = "open"
    PRE_MARKET = "pre_market"
    AFTER_HOURS = "after_hours"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDay:
    """One market on one day, and its state now."""

    market: str
    name: str
    time_zone: str
    day: date
    opens: datetime | None
    """None: no session on that day."""
    closes: datetime | None
    why: str
    """``regular``, ``always_open``, ``early_close``, ``weekend`` or ``holiday``."""
    state: SessionState
    next_open: datetime | None
    """None for a market that never closes."""
    next_close: datetime | None
    exceptions: tuple[tuple[date, str], ...] = ()
    """Holidays and early closes in the 60 days from ``day``."""
    note: str = ""
    known_until: date | None = None
    """The last day whose holidays are in our own calendar; None where the broker tells them, or there are none."""
    asset_classes: frozenset[AssetClass] = frozenset()
    """What trades in it; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One unit of ``base`` costs ``rate`` of ``quote``."""

    base: str
    quote: str
    rate: Decimal
    as_of: datetime
    source: str


class OptionRight(StrEnum):
    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionExpiration:
    day: date
    """The last day on which the options can be exercised."""
    strikes: int
    lowest_strike: Decimal
    highest_strike: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionContract:
    symbol: str
    right: OptionRight
    strike: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    open_interest: Decimal | None = None
    """Contracts."""
    implied_volatility: Decimal | None = None
    """A year's standard deviation as a share: 0.25 is 25 %."""
    delta: Decimal | None = None
    gamma: Decimal | None = None
    theta: Decimal | None = None
    vega: Decimal | None = None
    rho: Decimal | None = None
    as_of: datetime | None = None
    """When the quote was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChain:
    """One expiration, its strikes around the price. Prices are per unit of the underlying, in ``currency``."""

    underlying: str
    underlying_price: Decimal | None
    day: date
    currency: str
    multiplier: Decimal
    contracts: tuple[OptionContract, ...]
    """By strike, the call before the put."""
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesContract:
    symbol: str
    expires: date
    currency: str = ""
    exchange: str = ""
    multiplier: Decimal | None = None
    last_trade: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    at: datetime
    rate: Decimal
    """As ``FundingRate.rate``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """What holders of a perpetual pay each other."""

    symbol: str
    currency: str
    rate: Decimal
    """Share of a position's worth that longs pay shorts at ``next_at``, as it stands now; negative: shorts pay."""
    next_at: datetime | None
    interval_hours: Decimal | None
    mark: Decimal | None
    index: Decimal | None
    open_interest: Decimal | None
    """In units of ``open_interest_unit``."""
    open_interest_unit: str
    history: tuple[FundingPayment, ...]
    """Newest first."""
    as_of: datetime
    source: str


class TransferKind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    INTERNAL = "transfer"
    """Between accounts of the same person at the same broker."""


class TransferStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    transfer_id: str
    at: datetime
    kind: TransferKind
    status: TransferStatus
    asset: str
    amount: Decimal
    """Never negative: ``kind`` says which way it went."""
    fee: Decimal | None = None
    """In ``asset``; None if the broker does not report it."""
    network: str = ""
    transaction_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAddress:
    """Where coins can be sent to reach the account."""

    asset: str
    address: str
    network: str = ""
    tag: str = ""
    """What has to be given with the address, where the network asks for it: without it the coins are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnOffer:
    offer_id: str
    asset: str
    kind: str
    """``savings``, ``staking`` or the broker's own word."""
    yearly_rate: Decimal | None
    """Share of the amount a year, as the broker estimates it now: 0.05 is 5 %."""
    term_days: int | None = None
    """None: it can be taken back at any time, after the broker's own wait."""
    minimum: Decimal | None = None
    """Of one subscription, in ``asset``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnHolding:
    offer_id: str
    asset: str
    kind: str
    amount: Decimal
    earned: Decimal | None = None
    """So far, in ``asset``."""
    yearly_rate: Decimal | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earn:
    offers: tuple[EarnOffer, ...]
    holdings: tuple[EarnHolding, ...]
    note: str = ""
    """What is missing from the lists, where the broker reports only a part."""


class Unchangeable(StrEnum):
    """What a broker that changes a resting order may refuse to change."""

    TIME_IN_FORCE = "time in force"
    WITH_EXITS = "an order with exits, and an exit"
    SIZE_WITH_EXITS = "the quantity of an order with exits"
    SIZE_PARTLY_FILLED = "the quantity of an order that has begun to fill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    abilities: frozenset[Ability]
    asset_classes: frozenset[AssetClass]
    order_types: frozenset[OrderType]
    time_in_force: frozenset[TimeInForce]
    not_found_after: float
    """Seconds after a send from which "no such order" from this broker is final."""
    order_classes: frozenset[OrderClass] = frozenset({OrderClass.SIMPLE})
    """Done by the broker itself; any other has to be synthesised or refused."""
    pairs: Mapping[OrderType, frozenset[TimeInForce]] = field(default_factory=dict)
    """Where an order type takes fewer times in force than ``time_in_force``: those it takes."""
    coins: frozenset[TimeInForce] = frozenset(TimeInForce)
    """Where orders in coins take fewer times in force: those they take."""
    replace: bool = False
    """A resting order can be changed in one call."""
    change_may_rename: bool = True
    """A changed order may go by its new id, so that one is looked for; False where it keeps the id it has."""
    never_changes: frozenset[Unchangeable] = frozenset()
    """What ``replace`` refuses there, whatever the order."""
    notional: bool = False
    fractional: bool = False
    """Stocks in parts of a unit."""
    short: bool = False
    crosses_zero: bool = False
    """One order may take a position through zero to the other side."""
    extended_hours: bool = False
    reduce_only: bool = False
    never_reduce_only: frozenset[AssetClass] = frozenset()
    """Asset classes whose orders are never reduce-only there, as what is owned is all that can be sold."""
    post_only: bool = False
    spreads: bool = False
    """Several options in one order, by the symbols of ``brokers.spreads``."""
    tells_changes: bool = False
    """It keeps a row of each change of an order: see ``brokers.base.TellingBroker``."""
    firm_quotes: bool = False
    """Some orders are filled at a quote of its own: see ``brokers.base.QuotingBroker``."""
    practice: bool = False
    """Its accounts hold simulated money: they can be opened, reset and tuned from here."""
    bars_outside_hours: bool = False
    """``bars`` has those outside regular hours too."""
    margin_in_preview: bool = False
    """``preview`` reports the effect on margin, where the account has margin."""
    events: frozenset[InstrumentEvent] = frozenset()
    """What ``instrument_events`` reports."""
    order_stream: bool = False
    """It says by itself when an order moved: see ``brokers.order_streams``."""
    adjustments: frozenset[Adjustment] = frozenset({Adjustment.NONE})

    def times_in_force(self, order_type: OrderType) -> frozenset[TimeInForce]:
        return self.pairs.get(order_type, self.time_in_force)

    def usual_tif(self, order_type: OrderType, asset_class: AssetClass) -> TimeInForce:
        """What an order has that names none: the day where that is taken, else what rests, else what does not."""
        taken = self.times_in_force(order_type) & (self.coins if asset_class is AssetClass.CRYPTO else set(TimeInForce))
        wanted = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)
        return next((tif for tif in wanted if tif in taken), TimeInForce.DAY)

    def takes_reduce_only(self, asset_class: AssetClass) -> bool:
        return self.reduce_only and asset_class not in self.never_reduce_only

    def takes(self, order_type: OrderType, tif: TimeInForce) -> bool:
        return order_type in self.order_types and tif in self.times_in_force(order_type)
