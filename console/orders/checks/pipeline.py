"""The checks of an order, listed once.

Everything that shows, releases, changes or sends an order runs this list; they differ in the stage, and in whether the
first refusal is raised or all are collected. So what the approval page shows is what the release checks.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from brokers.errors import BrokerError, WriteOutcome
from brokers.types import OrderClass
from console.errors import Code, Refusal, refusal_of_read
from console.orders.checks import (
    change_checks,
    limit_rules,
    limits,
    market_standing,
    permission,
    position_checks,
    standing_rules,
)
from console.orders.checks.check_subject import Facts, PositionRule, PriceSource, Subject
from console.orders.terms import digest, shown_terms


class Stage(StrEnum):
    SHOWN = "shown"
    """Before a person has seen it: preview, and whatever prepares an order or a change."""
    CONFIRMED = "confirmed"
    """After the yes and before the locks: the broker is asked again."""
    LOCKED = "locked"
    """In the transaction that releases it, under the rows of the app and of the connection. No broker is asked."""


class About(StrEnum):
    """What a check is about, and so what a refusal ends."""

    CONFIRMATION = "confirmation"
    """Whether this yes counts. A no leaves what waits to whoever may say yes."""
    ASKER = "asker"
    """Whether the app may trade there now."""
    POSITION = "position"
    """What the quantity comes from."""
    ORDER = "order"


EVERYTHING = frozenset(About)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    """As people read it."""
    about: About
    stages: frozenset[Stage]
    run: Callable[[Subject, Facts], None]
    """Raises Refusal, BrokerError."""
    applies: Callable[[Subject], bool] = lambda subject: True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    check: Check
    refusal: Refusal | None = None
    """Why it would be refused; None: it passes."""


def require(
    subject: Subject, stage: Stage, facts: Facts | None = None, *, about: Collection[About] = EVERYTHING
) -> Facts:
    """Every check of the stage, in order; what they found out is returned. Raises the first Refusal, BrokerError.

    After CONFIRMED everything is read that the checks under the locks need.
    """
    facts = facts or Facts(subject)
    if stage is Stage.LOCKED:
        facts = facts.under_locks()
    for check in CHECKS:
        if stage in check.stages and check.about in about and check.applies(subject):
            check.run(subject, facts)
    if stage is Stage.CONFIRMED and About.ORDER in about:
        _ = facts.inputs
    return facts


def require_yes(subject: Subject) -> Refusal | None:
    """The checks of the yes itself. Raises Refusal; one that only came too soon is returned, so that nobody is told to
    wait for what its asker may not do at all."""
    try:
        require(subject, Stage.CONFIRMED, about={About.CONFIRMATION})
    except Refusal as refusal:
        if refusal.code is not Code.CONFIRMED_TOO_SOON:
            raise
        return refusal
    return None


def collect(
    subject: Subject, facts: Facts, stages: Collection[Stage], *, about: Collection[About] = EVERYTHING
) -> list[CheckResult]:
    """What each check of these stages says, in order; a broker that does not answer ends it. None of it is raised."""
    found: list[CheckResult] = []
    errors: list[BrokerError] = []
    for check in CHECKS:
        if check.stages.isdisjoint(stages) or check.about not in about or not check.applies(subject):
            continue
        try:
            check.run(subject, facts)
        except BrokerError as error:
            if error not in errors:  # each once, whatever rests on it
                found.append(CheckResult(check=check, refusal=refusal_of_read(error)))
                errors.append(error)
            if error.outcome is not WriteOutcome.REJECTED:
                break
        except Refusal as refusal:
            found.append(CheckResult(check=check, refusal=refusal))
        else:
            found.append(CheckResult(check=check))
    return found


def _unchanged(subject: Subject, facts: Facts) -> None:
    """It is what was shown, to the last digit."""
    confirmation, shown, order = subject.confirmation, subject.shown, subject.order
    assert confirmation is not None and shown is not None and order is not None
    now, is_change = subject.current, subject.asked is not None
    same = digest(confirmation.terms) == confirmation.terms_digest and all(
        shown.get(name) == value for name, value in now.items()
    )
    if is_change and facts.subject is not subject:  # the order may be another one than when its broker was asked
        same = same and shown_terms(facts.subject.request) == shown["after"]
    if not same:
        what = "the change" if is_change else "it"
        raise Refusal(
            Code.CONFIRMATION_CHANGED,
            f"The order is no longer what was shown. Nothing was sent; prepare {what} again.",
            order_id=order.public_id,
        )


def _release(subject: Subject, facts: Facts) -> None:
    assert subject.authorize is not None
    subject.authorize(subject.connection)


def _permission(subject: Subject, facts: Facts) -> None:
    permission.check_permission(subject.app, subject.connection)


def _halts(subject: Subject, facts: Facts) -> None:
    assert subject.account_id is not None
    subject.asking.check_halts(subject.action, subject.account_id)


def _at_broker(subject: Subject, facts: Facts) -> None:
    assert subject.order is not None
    change_checks.check_at_broker(subject.order, subject.change)


def _terms_of_change(subject: Subject, facts: Facts) -> None:
    assert subject.order is not None and subject.asked is not None
    change_checks.check_terms(subject.order, subject.request, subject.asked, facts.broker)
    change_checks.check_steps(subject.request, facts.instrument)


def _position(subject: Subject, facts: Facts) -> None:
    order, held = subject.order, facts.position
    assert order is not None
    if subject.position is PositionRule.COVERS_INCREASE:
        assert subject.request.quantity is not None
        position_checks.check_covers_increase(order, subject.request.quantity, held)
    elif subject.position is PositionRule.AS_SHOWN:
        position_checks.check_as_shown(order, held)
    else:
        position_checks.check_still_covers(order, held)


def _rules_and_funds(subject: Subject, facts: Facts) -> None:
    _ = facts.preview


def _acts_on_market(subject: Subject) -> bool:
    """Whether it has triggers or exits that where the market stands decides about; of a change: if it moves one."""
    if subject.wanted is None or subject.closes:
        return False
    if subject.asked is not None and not change_checks.moves_prices(subject.asked):
        return False
    return market_standing.concerns(subject.request)


def _triggers_and_exits(subject: Subject, facts: Facts) -> None:
    request, order = subject.request, subject.order
    if subject.asked is None or order is None:
        market_standing.check_entry(request, facts.quote, at_once=subject.at_once)
        market_standing.check_exits(request, facts.quote)
    elif order.parent is None:
        market_standing.check_entry(request, facts.quote, at_once=subject.at_once or bool(order.filled_quantity))
        market_standing.check_exits(request, facts.quote)
    elif order.order_class == OrderClass.OCO or order.parent.filled_quantity:
        market_standing.check_live_exit(request, facts.quote)
    else:  # it waits for its entry
        market_standing.check_exits(change_checks.with_leg(order.parent.request, request), facts.quote)


def _price(subject: Subject, facts: Facts) -> None:
    assert subject.shown_price is not None
    shown, now = subject.shown_price, facts.price
    if subject.market_shown is not None:  # its own price says nothing of what it fills at
        shown, now = subject.market_shown, facts.quote.last
    limit_rules.check_drift(subject.request.order_type, shown, now)


def _limits(subject: Subject, facts: Facts) -> None:
    """Those of the connection and of the app that asks; where it changes another's order, those of that app, too."""
    for app in (subject.placed_by, subject.app):
        if app is not None:
            facts.worst = limits.check_limits(
                subject.request,
                facts.inputs,
                subject.connection,
                app,
                exclude=subject.order,
                closes=subject.closes,
            )


def _standing_rule(subject: Subject, facts: Facts) -> None:
    assert subject.rule is not None and subject.order is not None
    standing_rules.check_release(subject.rule, subject.app, subject.order, facts.worst)


_BEFORE = frozenset({Stage.SHOWN, Stage.CONFIRMED})
_ALWAYS = frozenset(Stage)

CHECKS: tuple[Check, ...] = (
    Check(
        name="what was shown",
        about=About.CONFIRMATION,
        stages=frozenset({Stage.CONFIRMED}),
        run=_unchanged,
        applies=lambda subject: subject.shown is not None,
    ),
    Check(  # its order may be another one since; a new order is not read again
        name="what was shown, under the locks",
        about=About.CONFIRMATION,
        stages=frozenset({Stage.LOCKED}),
        run=_unchanged,
        applies=lambda subject: subject.change is not None,
    ),
    Check(
        name="release",
        about=About.CONFIRMATION,
        stages=_ALWAYS,
        run=_release,
        applies=lambda subject: subject.authorize is not None,
    ),
    Check(name="permission to trade", about=About.ASKER, stages=_ALWAYS, run=_permission),
    Check(
        name="halts",
        about=About.ASKER,
        stages=_ALWAYS,
        run=_halts,
        applies=lambda subject: subject.account_id is not None,
    ),
    Check(
        name="status at the broker",
        about=About.ORDER,
        stages=_BEFORE,
        run=_at_broker,
        applies=lambda subject: subject.asked is not None,
    ),
    Check(
        name="terms of the change",
        about=About.ORDER,
        stages=_BEFORE,
        run=_terms_of_change,
        applies=lambda subject: subject.asked is not None,
    ),
    Check(
        name="position",
        about=About.POSITION,
        stages=_ALWAYS,
        run=_position,
        applies=lambda subject: subject.position is not None,
    ),
    Check(
        name="broker rules and funds",
        about=About.ORDER,
        stages=_BEFORE,
        run=_rules_and_funds,
        applies=lambda subject: subject.estimate is not PriceSource.QUOTE,
    ),
    Check(
        name="price",
        about=About.ORDER,
        stages=frozenset({Stage.CONFIRMED}),
        run=_price,
        applies=lambda subject: subject.shown_price is not None,
    ),
    Check(name="limits", about=About.ORDER, stages=frozenset({Stage.SHOWN, Stage.LOCKED}), run=_limits),
    Check(  # by what the limits found it to be worth
        name="standing rule",
        about=About.CONFIRMATION,
        stages=frozenset({Stage.LOCKED}),
        run=_standing_rule,
        applies=lambda subject: subject.rule is not None,
    ),
    Check(
        name="triggers and exits",
        about=About.ORDER,
        stages=_BEFORE,
        run=_triggers_and_exits,
        applies=_acts_on_market,
    ),
)
"""In the order in which they are made. After the yes, limits are left to the locks, as what other orders take is known
under them alone."""
