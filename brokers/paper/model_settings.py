"""What a paper account trades under: its preset, what is different from it, and whether it may borrow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers.decimals import plain
from brokers.paper import buying_power, costs, ledger
from brokers.paper.accounts import match_locked
from brokers.paper.engine import Matcher
from brokers.paper.listings import market_of
from brokers.paper.models import OPEN_STATUSES, PaperAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """As an account has them. Rates in percent, fees in the currency of the instrument."""

    account_id: str
    name: str
    currency: str
    starting_cash: Decimal
    preset: str
    stamp: str
    margin: bool
    hours: str
    overrides: dict[str, str]
    rates: dict[str, Decimal | None]
    """All of ``costs.TUNABLE`` as they are now; None for no bound on volume."""


def settings_of(key: str) -> ModelSettings:
    """Raises InvalidAccount."""
    return _settings(ledger.account(key))


def set_model(
    key: str,
    *,
    preset: str | None = None,
    overrides: Mapping[str, Decimal] | None = None,
    margin: bool | None = None,
    now: datetime,
) -> ModelSettings:
    """From now on; what the account could fill before is filled under the old terms first.

    ``overrides`` replace all there were, and a new preset alone drops them. Raises InvalidAccount, ValueError.
    """
    if preset is not None and preset not in costs.PRESETS:
        raise ValueError(f"The preset must be one of {', '.join(costs.PRESETS)}.")
    for name, value in (overrides or {}).items():
        knob = costs.TUNABLE.get(name)
        if knob is None:
            raise ValueError(f"Unknown setting {name}: the settings are {', '.join(costs.TUNABLE)} and margin.")
        if not 0 <= value <= knob.most or -int(value.as_tuple().exponent) > 6:
            raise ValueError(f"{name} must be from 0 to {plain(knob.most)}, with at most 6 decimals.")
    with ledger.locked(ledger.account(key)) as mine:
        if mine.venue and (overrides or {}).get("latency_ms"):
            raise ValueError("With live prices, latency_ms can only be 0.")
        match_locked(mine, now)
        if margin is False and mine.kind == buying_power.MARGIN:
            _check_no_loan(mine)
        if margin is not None:
            mine.kind = buying_power.MARGIN if margin else buying_power.CASH
        if overrides is not None or preset is not None:
            mine.overrides = {name: plain(value) for name, value in (overrides or {}).items()}
        mine.preset = preset or mine.preset
        mine.save(update_fields=["preset", "overrides", "kind"])
        Matcher(mine, market_of(mine), now).allot_all()
        return _settings(mine)


def _check_no_loan(account: PaperAccount) -> None:
    if account.orders.filter(status__in=OPEN_STATUSES).exists():
        raise ValueError("Open orders use margin: cancel them before switching margin off.")
    if any(holding.quantity < 0 for holding in account.holdings.all()):
        raise ValueError("The account is short: close the short positions before switching margin off.")
    if any(balance.amount < 0 for balance in account.balances.all()):
        raise ValueError("The account has borrowed cash: repay it before switching margin off.")


def _settings(account: PaperAccount) -> ModelSettings:
    model = costs.model_of(account.preset, account.overrides)
    rates: dict[str, Decimal | None] = {}
    for name, knob in costs.TUNABLE.items():
        value: Decimal | None = getattr(model, knob.field)
        rates[name] = None if value is None else value / knob.scale
    if account.venue:
        rates["latency_ms"] = Decimal(0)
    return ModelSettings(
        account_id=account.key,
        name=account.name,
        currency=account.currency,
        starting_cash=account.starting_cash,
        preset=account.preset,
        stamp=model.stamp,
        margin=account.kind == buying_power.MARGIN,
        hours=account.hours,
        overrides=dict(account.overrides),
        rates=rates,
    )
