"""What an account can pay for.

*Cash account.* A buy needs settled cash for its worst price and fee; a sell needs the units. Nothing is lent, and
because only settled cash buys, no good-faith violation can arise.

*Margin account.* What opens or adds to a position, long or short, needs ``costs.INITIAL_MARGIN`` of its value in own
means: equity, less that share of every position, less what open orders hold. Crypto counts in full and cannot be
sold short. What closes a position is always allowed. Once equity is below the maintenance margin every order that
opens is refused until it is above again; nothing is liquidated.

What open orders of a margin account hold follows from the position and the orders alone, whatever happened before:
an order that only closes holds the units it closes and no money, one that opens holds its initial margin and fee.
Several that close share the position's units, the oldest first and a pair as one order, so that together they never
close more than there is; what they are for beyond that opens, and holds money unless it may only reduce. Whenever the
position or the orders in it change, all of them are set anew (``allocate``). That may leave an account with less own
means than its orders hold: it opens nothing more then, and an order that it cannot pay when its price comes ends.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from brokers.decimals import plain
from brokers.errors import InsufficientFunds, InsufficientPosition
from brokers.paper import costs, fill_rules, ledger
from brokers.paper.models import PaperAccount, PaperOrder
from brokers.paper.prices import Market
from brokers.types import AssetClass, Instrument, MarginEffect, Quote, Side

CASH, MARGIN = "cash", "margin"


@dataclass(frozen=True, slots=True)
class Requirement:
    cash: Decimal
    """Own means to hold for the order while it rests."""
    units: Decimal
    """Units of a position that it closes."""


@dataclass(frozen=True, slots=True)
class MarginState:
    """A margin account at one time, in its currency."""

    equity: Decimal
    initial: Decimal
    maintenance: Decimal


def margin_state(state: ledger.AccountSnapshot, market: Market) -> MarginState:
    """At the last prices known then."""
    equity = state.cash_in(state.account.currency).total
    initial = maintenance = Decimal(0)
    for symbol, (quantity, _) in state.holdings.items():
        instrument = market.tape(symbol).instrument
        value = costs.notional_of(market.quote(symbol, state.at).last, quantity)
        equity += value
        initial += abs(value) * _initial(instrument)
        maintenance += _share_kept(instrument, value) * abs(value)
    return MarginState(equity, initial, maintenance)


def margin_effect(
    state: ledger.AccountSnapshot, market: Market, side: Side, instrument: Instrument, quantity: Decimal, price: Decimal
) -> MarginEffect | None:
    """What filling an order at ``price`` does to the margin; None for a cash account. The fee is not in it."""
    if state.account.kind == CASH:
        return None
    now = margin_state(state, market)
    held = state.held(instrument.symbol).total
    after = held + (quantity if side is Side.BUY else -quantity)
    last = market.quote(instrument.symbol, state.at).last
    closed = min(quantity, max(Decimal(0), -held if side is Side.BUY else held))
    opened = quantity - closed
    initial = ((opened * price - closed * last) * _initial(instrument)).quantize(fill_rules.CENT)
    maintenance = (_maintenance(instrument, after, last) - _maintenance(instrument, held, last)).quantize(
        fill_rules.CENT
    )
    return MarginEffect(
        currency=state.account.currency,
        available=available_funds(state, market),
        initial_change=initial,
        initial_after=now.initial + initial,
        maintenance_change=maintenance,
        maintenance_after=now.maintenance + maintenance,
    )


def available_funds(state: ledger.AccountSnapshot, market: Market, *, but: PaperOrder | None = None) -> Decimal:
    """Own means that no open order holds; ``but`` leaves out one order."""
    cash = state.cash_in(state.account.currency, but=but)
    if state.account.kind == CASH:
        return cash.available
    now = margin_state(state, market)
    return now.equity - now.initial - cash.reserved


def closable(state: ledger.AccountSnapshot, symbol: str, side: Side, *, but: PaperOrder | None = None) -> Decimal:
    """Units of the position that an order of this side could still close."""
    units = state.held(symbol, but=but)
    against = units.total if side is Side.SELL else -units.total
    return max(Decimal(0), against - units.reserved)


def position_against(account: PaperAccount, symbol: str, side: Side) -> Decimal:
    """Units of the position that an order of this side closes, whoever else waits to close them."""
    row = account.holdings.filter(symbol=symbol).first()
    total = row.quantity if row else Decimal(0)
    return max(Decimal(0), total if side is Side.SELL else -total)


def allocate(
    account: PaperAccount,
    preset: costs.Preset,
    orders: Iterable[PaperOrder],
    terms_of: Callable[[PaperOrder], fill_rules.RestingOrder],
    instrument: Instrument,
    quote: Callable[[], Quote],
    *,
    anew: bool,
) -> list[PaperOrder]:
    """Set what these orders hold: all that rest in one symbol of a margin account, the oldest first.

    Without ``anew`` the money of those whose units stay the same is left as it is. Saves nothing; returns those that
    hold something else now.
    """
    left = {side: position_against(account, instrument.symbol, side) for side in Side}
    slots: dict[str, list[PaperOrder]] = {}
    for order in orders:
        slots.setdefault(order.pair or str(order.pk), []).append(order)
    changed = []
    for slot in slots.values():
        able = left[Side(slot[0].side)]
        for order in slot:
            if order.reserved_quantity == min(order.quantity - order.filled_quantity, able) and not anew:
                continue
            held = largest_requirement(
                account, preset, terms_of(order), instrument, quote(), able, filled=order.filled_quantity
            )
            order.reserved_cash = Decimal(0) if order.reduce_only else held.cash
            order.reserved_quantity = held.units
            changed.append(order)
        left[Side(slot[0].side)] = able - max(order.reserved_quantity for order in slot)
    return changed


def requirement(
    account: PaperAccount,
    preset: costs.Preset,
    terms: fill_rules.RestingOrder,
    instrument: Instrument,
    closable: Decimal,
    price: Decimal,
    *,
    filled: Decimal = Decimal(0),
    maker: bool = False,
) -> Requirement:
    """For ``terms.quantity`` units at ``price``."""
    quantity, asset_class = terms.quantity, instrument.asset_class
    if account.kind == CASH:
        if terms.side is Side.SELL:
            return Requirement(Decimal(0), quantity)
        effect = costs.cash_effect(preset, Side.BUY, asset_class, price, quantity, filled=filled, maker=maker)
        return Requirement(-effect, Decimal(0))
    closing = min(quantity, closable)
    if closing == quantity:
        return Requirement(Decimal(0), closing)
    own = costs.notional_of(price, quantity - closing) * _initial(instrument)
    return Requirement(
        own.quantize(fill_rules.CENT) + costs.fee(preset, asset_class, price, quantity, filled=filled, maker=maker),
        closing,
    )


def check(
    state: ledger.AccountSnapshot,
    market: Market,
    terms: fill_rules.RestingOrder,
    instrument: Instrument,
    needed: Requirement,
    *,
    but: PaperOrder | None = None,
) -> None:
    """Raises InsufficientPosition or InsufficientFunds."""
    account = state.account
    able = closable(state, instrument.symbol, terms.side, but=but)
    lends = account.kind == MARGIN and instrument.asset_class is not AssetClass.CRYPTO
    if terms.side is Side.SELL and terms.quantity > able and not lends:
        held = state.held(instrument.symbol, but=but)
        raise InsufficientPosition(_short_of_units(instrument.symbol, terms.quantity, held), available=able)
    available = available_funds(state, market, but=but)
    if needed.cash > max(available, Decimal(0)):
        raise InsufficientFunds(
            f"This order needs {needed.cash:,.2f} {instrument.currency} "
            f"but only {available:,.2f} {instrument.currency} is available.",
            needed=needed.cash,
            available=available,
        )
    if account.kind == MARGIN and terms.quantity > able:
        now = margin_state(state, market)
        if now.equity < now.maintenance:
            raise InsufficientFunds(
                f"The account's equity of {now.equity:,.2f} {account.currency} is below its maintenance margin of "
                f"{now.maintenance:,.2f} {account.currency}: only orders that close a position are accepted."
            )


def can_afford(
    state: ledger.AccountSnapshot,
    market: Market,
    preset: costs.Preset,
    order: PaperOrder,
    terms: fill_rules.RestingOrder,
    instrument: Instrument,
    price: Decimal,
    *,
    maker: bool,
) -> bool:
    """Whether a fill of ``terms.quantity`` units at ``price`` can be paid, now that it comes."""
    account = state.account
    if account.kind == CASH:
        effect = costs.cash_effect(
            preset, terms.side, instrument.asset_class, price, terms.quantity, filled=order.filled_quantity, maker=maker
        )
        # What it holds itself is there without adding up what all the others hold.
        if -effect <= max(order.reserved_cash, Decimal(0)):
            return True
        return available_funds(state, market, but=order) + effect >= 0
    # It closes what there is, even where an older order waits to close the same: that one will open then.
    able = position_against(account, order.symbol, terms.side)
    needed = requirement(account, preset, terms, instrument, able, price, filled=order.filled_quantity, maker=maker)
    return not needed.cash or available_funds(state, market, but=order) >= needed.cash


def largest_requirement(
    account: PaperAccount,
    preset: costs.Preset,
    terms: fill_rules.RestingOrder,
    instrument: Instrument,
    quote: Quote,
    closable: Decimal,
    *,
    filled: Decimal = Decimal(0),
) -> Requirement:
    """What an order holds while it rests."""
    return requirement(account, preset, terms, instrument, closable, costs.worst_price(terms, quote), filled=filled)


def _share_kept(instrument: Instrument, signed: Decimal) -> Decimal:
    """Share of a position's value that has to be owned while it is open, long or short by the sign."""
    if instrument.asset_class is AssetClass.CRYPTO:
        return Decimal(1)
    return costs.MAINTENANCE_LONG if signed > 0 else costs.MAINTENANCE_SHORT


def _maintenance(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    return _share_kept(instrument, quantity) * abs(quantity) * price


def _initial(instrument: Instrument) -> Decimal:
    return Decimal(1) if instrument.asset_class is AssetClass.CRYPTO else costs.INITIAL_MARGIN


def _short_of_units(symbol: str, wanted: Decimal, units: ledger.Balance) -> str:
    most = f"only {plain(units.available)}" if units.available > 0 else "nothing"
    held = f"This order sells {plain(wanted)} {symbol}, but {most} can be sold"
    if units.reserved:
        return f"{held}: {plain(units.total)} held, {plain(units.reserved)} reserved for open sell orders."
    return f"{held}. Short selling is not offered."
