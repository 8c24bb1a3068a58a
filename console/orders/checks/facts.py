"""What an order is measured against, read from the broker outside any transaction."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers import market_hours, symbol_lookup
from brokers.base import Broker
from brokers.errors import BrokerError
from brokers.types import (
    Ability,
    AssetClass,
    Instrument,
    OrderRequest,
    OrderType,
    Preview,
    Quote,
    SessionState,
    coin_of,
)
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.limits import Limits, combine, names_of
from console.orders import states
from console.orders.checks import limit_rules
from console.orders.checks.limit_rules import RiskInputs
from console.orders.models import Order
from console.orders.states import Status

# What may still stand or fill at the broker. A lookup that found nothing can be overtaken, so it counts, too.
LIVE = states.OPEN | {Status.NOT_FOUND}


def load(
    broker: Broker,
    connection: Connection,
    app: ConnectedApp,
    instrument: Instrument,
    quote: Quote,
    placed_by: ConnectedApp | None = None,
    *,
    request: OrderRequest | None = None,
) -> RiskInputs:
    """Ask the broker for what the limits need, and for nothing else. What it does not tell stays ``None``.

    ``placed_by``: the app that placed the order, where another changes it. ``request``: the order, where it is known.
    """
    limits = combine(connection.limited, app.limited)
    if placed_by is not None:
        limits = combine(limits, placed_by.limited)
    wants_equity = limits.equity_share is not None or limits.daily_loss is not None
    wants_held = wants_equity or limits.position_value is not None or _needs_position(request, limits)
    now = timezone.now()
    filled_before = None
    if wants_held:  # before the broker is asked for positions
        mine = Order.objects.filter(in_position(instrument.symbol, instrument.asset_class), connection=connection)
        filled_before = dict(mine.filter(status__in=LIVE).values_list("pk", "filled_quantity"))
    held = equity = rate = None
    if instrument.currency == connection.currency:
        rate = Decimal(1)
    elif connection.currency:
        with suppress(BrokerError):
            rate = _rate(broker, instrument.currency, connection.currency)
    with suppress(BrokerError):
        if wants_held:
            accounts = [account.account_id for account in broker.accounts()]
            held = total_position(broker, accounts, instrument)
            if wants_equity:
                equity = total_equity(broker, accounts, connection.currency)
    return RiskInputs(
        at=now,
        currency=connection.currency,
        asset_class=instrument.asset_class,
        identity=instrument.identity,
        aliases=names_of(instrument),
        price_currency=instrument.currency,
        rate=rate,
        multiplier=instrument.multiplier,
        spread=instrument.spread,
        quote=quote,
        held=held,
        equity=equity,
        equity_at_start=connection.equity_at_start_of(now.astimezone(UTC).date()),
        market_is_open=market_is_open(broker, instrument, now) if limits.trading_hours_only else None,
        filled_before=filled_before,
    )


def _needs_position(request: OrderRequest | None, limits: Limits) -> bool:
    """A stop-limit order's distance is told by whether it guards a position."""
    is_stop_limit = request is not None and request.order_type is OrderType.STOP_LIMIT
    return is_stop_limit and limits.price_collar is not None


def _rate(broker: Broker, base: str, quote: str) -> Decimal | None:
    """None for what is no rate, which a broker may tell when it has none. Raises BrokerError."""
    rate = broker.exchange_rate(base, quote).rate
    return rate if rate.is_finite() and rate > 0 else None


class FundsCheck:
    """What the orders of one plan cost at once, against what is there for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._previews: list[Preview] = []
        self._rates: dict[tuple[str, str], Decimal] = {}

    def add(self, preview: Preview) -> None:
        """One more of them. Raises Refusal, as ``limit_rules.check_together`` does; it is then not one of them."""
        pair = (preview.quote.currency, preview.buying_power_currency)
        if pair[0] != pair[1] and pair not in self._rates:
            with suppress(BrokerError):
                rate = _rate(broker_access.broker_of(self._connection), *pair)
                if rate is not None:
                    self._rates[pair] = rate
        limit_rules.check_together([*self._previews, preview], self._rates)
        self._previews.append(preview)


def total_position(broker: Broker, accounts: Sequence[str], instrument: Instrument) -> Decimal:
    """Signed quantity over all accounts, of a coin by all of its pairs. Raises BrokerError."""
    symbol, kind = instrument.symbol, instrument.asset_class
    return sum(
        (each.quantity for account in accounts for each in broker.positions(account) if each.is_in(symbol, kind)),
        Decimal(0),
    )


def in_position(symbol: str, asset_class: str, of: str = "") -> Q:
    """Orders that move one position: those in a coin by all of its pairs. ``of`` is the path to the order."""
    if coin := coin_of(symbol, asset_class):
        return Q(**{f"{of}symbol__startswith": f"{coin}/", f"{of}asset_class": AssetClass.CRYPTO})
    return Q(**{f"{of}symbol": symbol})


def trading(orders: QuerySet[Order], symbol: str) -> QuerySet[Order]:
    """Those in one symbol; in an option also those of several options of which it is one."""
    if (option := symbol_lookup.parse_occ(symbol.partition("@")[0])) is None:
        return orders.filter(symbol=symbol)
    named = Q(symbol__startswith=f"{option.root}+") | Q(symbol__startswith=f"{option.root}-")
    combined = [order.pk for order in orders.filter(named) if order.trades(symbol)]
    return orders.filter(Q(symbol=symbol) | Q(pk__in=combined))


def total_equity(broker: Broker, accounts: Sequence[str], currency: str) -> Decimal | None:
    """Over all accounts; None when one is kept in another currency. Raises BrokerError."""
    found = [broker.account_state(account) for account in accounts]
    if any(state.currency != currency for state in found):
        return None
    return sum((state.equity for state in found), Decimal(0))


def market_is_open(broker: Broker, instrument: Instrument, now: datetime) -> bool | None:
    """Whether its market is in its regular session, by the broker's own word where it tells; None: not known.

    Coins trade at all hours. Of a broker that tells no hours, stocks and funds priced in US dollars keep those of New
    York, in the years whose holidays are known.
    """
    kind = instrument.asset_class
    if kind is AssetClass.CRYPTO:
        return True
    if Ability.MARKET_HOURS in broker.capabilities.abilities:
        try:
            trading = [each for each in broker.market_hours() if kind in each.asset_classes]
        except BrokerError:
            return None
        its_own = [each for each in trading if each.market == instrument.venue]
        told = {each.state for each in its_own or trading}
        return SessionState.OPEN in told if len(told) == 1 else None
    if kind in (AssetClass.STOCK, AssetClass.ETF) and instrument.currency == "USD":
        return market_hours.is_open(market_hours.VENUE, now) if market_hours.knows(market_hours.VENUE, now) else None
    return None
