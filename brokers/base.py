"""The one interface between us and any broker."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from brokers.errors import NotSupported
from brokers.order_streams import OrderStream
from brokers.types import (
    Account,
    AccountEquity,
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    Capabilities,
    ConnectionInfo,
    DepositAddress,
    Earn,
    FeeRule,
    Fill,
    FundingRate,
    FuturesContract,
    Health,
    Instrument,
    InstrumentEvents,
    MarketDay,
    OptionChain,
    OptionExpiration,
    OptionRight,
    OrderBook,
    OrderChanges,
    OrderRequest,
    Position,
    Preview,
    Prints,
    Quote,
    Rate,
    Transaction,
    Transfer,
    Unreadable,
)


class Extras(Protocol):
    """What few brokers have. An adapter inherits it, has methods of its own for what it names among its abilities,
    and raises NotSupported for the rest. All are reads; nothing here or elsewhere sends money out.
    """

    @property
    def unknown_words(self) -> tuple[Unreadable, ...]:
        """What this object has read and does not know, oldest first: see ``brokers.unknown_words``."""
        return ()

    def instrument_events(self, symbol: str) -> InstrumentEvents:
        """Dividend, earnings and halt, as far as ``capabilities.events`` has them. Raises InvalidSymbol."""
        return InstrumentEvents()

    def order_stream(self) -> OrderStream:
        """A new connection's worth of the broker's own order updates, where ``capabilities.order_stream``.

        What it needs of the broker, such as a token, is asked for here. Raises BrokerError.
        """
        raise NotSupported("This broker has no stream of order updates.")

    def largest_quantity(self, account_id: str, request: OrderRequest) -> Decimal | None:
        """The largest quantity of an order of these terms by the broker's own word, its margin counted in.

        None where it does not say; ``request.quantity`` does not matter.
        """
        return None

    def option_expirations(self, symbol: str) -> list[OptionExpiration]:
        """Of the options on ``symbol``, nearest first. Raises InvalidSymbol."""
        raise NotSupported("This broker does not list options.")

    def option_chain(self, symbol: str, day: date, *, strikes: int, right: OptionRight | None = None) -> OptionChain:
        """The ``strikes`` strikes nearest to the price; both rights where none is named. Raises InvalidRequest."""
        raise NotSupported("This broker does not list options.")

    def futures_contracts(self, root: str) -> list[FuturesContract]:
        """Those that have not expired, nearest first. Raises InvalidSymbol for a root without any."""
        raise NotSupported("This broker does not list contract months.")

    def funding_rate(self, symbol: str, limit: int) -> FundingRate:
        """With the newest ``limit`` payments. Raises InvalidSymbol, InvalidRequest for what is no perpetual."""
        raise NotSupported("This broker has no perpetuals.")

    def transfers(
        self, account_id: str, *, start: datetime | None = None, end: datetime | None = None, limit: int
    ) -> list[Transfer]:
        """Deposits, withdrawals and moves between the person's accounts, newest first; ``end`` is not included."""
        raise NotSupported("This broker does not list transfers.")

    def deposit_addresses(self, account_id: str, asset: str) -> list[DepositAddress]:
        """Those the account has; none is made. Raises InvalidSymbol for an asset the broker does not know."""
        raise NotSupported("This broker does not report deposit addresses.")

    def earn(self, account_id: str, asset: str = "") -> Earn:
        """Staking and savings: what is offered, and what the account has in them. "" is every asset."""
        raise NotSupported("This broker has no earn products.")


class Broker(Extras, Protocol):
    """One connection to one broker. Plain blocking calls, made from worker threads.

    Every method may raise ``brokers.errors.BrokerError``. Reads may be retried by the caller; ``submit``,
    ``replace`` and ``cancel`` are sent exactly once by the adapter and by every library beneath it.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def connect(self) -> ConnectionInfo:
        """Prove the credentials with one read, and say what they may do. Raises AuthFailed, PermissionDenied."""
        ...

    def ping(self) -> Health:
        """One small read. Raises what says why the broker cannot be used now: AuthFailed, BrokerUnavailable."""
        ...

    def accounts(self) -> list[Account]: ...

    def account_state(self, account_id: str) -> AccountState: ...

    def positions(self, account_id: str) -> list[Position]: ...

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
        """Newest first; ``start`` is included, ``end`` is not. No ``kinds`` means all.

        ``after`` is the transaction_id the list goes on from; raises InvalidRequest for one the account has not.
        """
        ...

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
        """Newest first; ``start`` is included, ``end`` is not. ``after`` is a fill_id, as in ``transactions``."""
        ...

    def fees(self, account_id: str) -> list[FeeRule]:
        """What a fill costs, by asset class."""
        ...

    def find_instruments(
        self, query: str, *, asset_class: AssetClass | None = None, limit: int = 10, by_name: bool = False
    ) -> list[Instrument]:
        """Best match first. ``by_name`` looks in names alone, never in tickers."""
        ...

    def instruments(self, *, asset_class: AssetClass | None = None, limit: int) -> list[Instrument]:
        """What can be screened, in the broker's own order."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Raises InvalidSymbol."""
        ...

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """One quote per symbol, in the order asked. Raises InvalidSymbol."""
        ...

    def bars(
        self,
        symbol: str,
        size: BarSize,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[Bar]:
        """The newest ``limit`` complete bars in [start, end), oldest first."""
        ...

    def order_book(self, symbol: str, depth: int) -> OrderBook:
        """At most ``depth`` levels a side. Raises InvalidSymbol."""
        ...

    def prints(self, symbol: str, limit: int) -> Prints:
        """The newest ``limit`` trades. Raises InvalidSymbol."""
        ...

    def market_hours(self, *, day: date | None = None, market: str = "") -> list[MarketDay]:
        """Every market, or one by its name in any case. ``day`` is in the market's time zone, today where left out.

        Raises InvalidRequest.
        """
        ...

    def exchange_rate(self, base: str, quote: str) -> Rate:
        """Between two currencies, by their three letters. Raises NoRate."""
        ...

    def preview(self, account_id: str, request: OrderRequest) -> Preview:
        """Check the order by the broker's rules and estimate its effect. Raises what ``submit`` would."""
        ...

    def submit(self, account_id: str, request: OrderRequest) -> BrokerOrder:
        """Send once. Rejected, NotSent and UnknownOutcome are the three failures.

        With ``request.legs``, either all its orders are placed or none; each is then known by its own client order id.
        """
        ...

    def order(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder | None:
        """The order by our id, fills included; ``None`` when the broker says it has none.

        ``symbol`` is the order's own: some brokers find an order by nothing less, and raise without it.
        """
        ...

    def orders(
        self, account_id: str, *, open_only: bool = False, since: datetime | None = None, limit: int = 100
    ) -> list[BrokerOrder]:
        """Newest first, orders made elsewhere included; ``since`` bounds when they were made."""
        ...

    def replace(
        self, account_id: str, client_order_id: str, changes: OrderChanges, new_client_order_id: str = ""
    ) -> BrokerOrder:
        """Change a resting order, once. The answer's ``client_order_id`` is the one it goes by from now on.

        A broker that changes in place keeps the old id; one that makes a new order gives it ``new_client_order_id``
        (32 lower-case hex digits), and the old one then reads as cancelled. Raises OrderNotFound, NotCancellable
        when the order has ended, NotSupported where ``capabilities.replace`` is false.
        """
        ...

    def cancel(self, account_id: str, client_order_id: str, *, symbol: str = "") -> BrokerOrder:
        """Raises OrderNotFound, or NotCancellable when the order has ended. Legs that wait for it end with it."""
        ...


class AskingBroker(Broker, Protocol):
    """A broker whose ``submit`` may raise NeedsAnswer."""

    def answer(self, account_id: str, client_order_id: str, token: str, yes: bool) -> BrokerOrder | None:
        """A person's answer to the question of ``token``, sent once; None when it was no. Raises what ``submit`` would,
        NeedsAnswer again where the broker has a further question.
        """
        ...


class TellingBroker(Broker, Protocol):
    """A broker that keeps a row of each change of an order, see ``brokers.registry``: none need be asked for news."""

    def named_orders(self, account_id: str, client_order_ids: Collection[str]) -> list[BrokerOrder]:
        """Those of these ids that the account has, open or not, each as ``order`` tells it; newest first."""
        ...

    def open_names(self, account_id: str) -> list[str]:
        """The client order ids of all that is open now, newest first."""
        ...

    def version_of_open(self, account_id: str) -> str:
        """Another one whenever ``open_names`` gives other names than before."""
        ...

    def equity(self, account_id: str) -> AccountEquity:
        """As ``account_state`` has it. Costs the same however many orders rest."""
        ...


class QuotingBroker(Broker, Protocol):
    """A broker that fills some orders at a firm quote, and knows such an order by the id of its quote alone.

    So the quote is asked for first and its id kept: then it is committed, and a lost answer can be looked up.
    """

    def firm_quote(self, account_id: str, request: OrderRequest, *, most_fee: Decimal | None = None) -> str:
        """The id of a quote for this order, which moves nothing; "" for an order that is sent by ``submit``.

        ``most_fee``: what it may cost at most, in the instrument's currency; None: whatever the broker asks. Raises
        InvalidOrder where the quote names a higher fee, and what ``submit`` would, but never UnknownOutcome.
        """
        ...

    def commit(self, account_id: str, request: OrderRequest, quote_id: str) -> BrokerOrder:
        """Send once. The failures are those of ``submit``."""
        ...

    def order_of_quote(self, account_id: str, request: OrderRequest, quote_id: str) -> BrokerOrder | None:
        """As ``order``: of an order without a quote the same, where ``quote_id`` is the broker's id of it."""
        ...
