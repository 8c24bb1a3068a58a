"""Whose yes a confirmation takes, and that it is used once. Every confirmation is made, narrowed and used up here."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from brokers.compiled_queries import Insertion
from brokers.types import Environment
from console import ids
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders.models import Action, Confirmation, StandingRule
from console.orders.states import AmendmentStatus, Status
from console.orders.terms import digest
from console.principal import Redeemer

_CONFIRMATIONS = Insertion(Confirmation)
CLOCKS_APART = timedelta(seconds=60)
"""As far as the clocks of two machines may be apart."""


_OF_A_PLAN = "cnp"
"""What the ids begin with of confirmations that start a plan: so that no other costs a look for one."""


def is_of_a_plan(confirmation_id: str) -> bool:
    """Whether an id is that of a confirmation that starts a plan, if it is one at all."""
    return confirmation_id.startswith(f"{_OF_A_PLAN}_")


def redeemer_of(app: ConnectedApp, asked: Redeemer) -> Redeemer:
    """Whose yes it takes to release what ``app`` prepares now, where it asks ``asked``."""
    is_owners = app.is_console or app.is_signal or app.connection.policy != Policy.TWO_STEP
    return Redeemer.OWNER if is_owners else asked


MOST_WAITING = 50
"""On one connection, for its owner: however long each may wait, a person can still look at all of them."""


def _waiting(connection: Connection, now: datetime) -> int:
    undecided = Q(orders__status=Status.AWAITING, plan_id="") | Q(modification__status=AmendmentStatus.AWAITING)
    undecided |= Q(action=Action.PLAN)
    mine = Confirmation.objects.filter(undecided, app__connection=connection, redeemed_at=None, expires_at__gt=now)
    return mine.distinct().count()


def create(
    app: ConnectedApp,
    action: Action,
    shown: dict[str, Any],
    *,
    asked: Redeemer = Redeemer.APP,
    all_or_none: bool = True,
    rule: StandingRule | None = None,
    plan_id: str = "",
) -> Confirmation:
    """A confirmation of what was ``shown``. ``asked``: whose yes its app waits for, where the connection allows it.

    ``rule``: the owner's, that covers it. ``plan_id``: the trading plan that it starts, or whose order it covers.
    Raises Refusal where as much waits for the owner as can.
    """
    now, redeemer = timezone.now(), redeemer_of(app, asked)
    if is_of_plan := bool(plan_id) and action is not Action.PLAN:
        redeemer = Redeemer.OWNER  # so that no call of an app redeems it: the plan does, at once
    waits_for_owner = redeemer is Redeemer.OWNER and not app.is_console  # who asks in the console is there
    waits_for_owner = waits_for_owner and not is_of_plan
    seconds = app.connection.approval_seconds if waits_for_owner else settings.CONFIRMATION_SECONDS
    if waits_for_owner and action is not Action.CANCEL and _waiting(app.connection, now) >= MOST_WAITING:
        raise Refusal(
            Code.WAITS_FOR_OWNER,
            f"{MOST_WAITING} orders on {app.connection.name} wait for their owner already. Nothing was prepared; the "
            f"owner decides about them at {settings.PUBLIC_URL}/orders/approvals/, or they expire.",
        )
    return _CONFIRMATIONS.create(
        public_id=ids.new(_OF_A_PLAN if action is Action.PLAN else "cnf"),
        app=app,
        action=action,
        all_or_none=all_or_none,
        redeemer=redeemer,
        rule=rule if redeemer is Redeemer.OWNER and not is_of_plan else None,
        plan_id=plan_id,
        terms=shown,
        terms_digest=digest(shown),
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )


def narrow(confirmation: Confirmation, asked: Redeemer) -> None:
    """From now on it takes the yes of ``asked``, if that is stricter than before."""
    if asked.rank > Redeemer(confirmation.redeemer).rank:
        Confirmation.objects.filter(pk=confirmation.pk, redeemer=confirmation.redeemer).update(redeemer=asked)
        confirmation.refresh_from_db(fields=["redeemer"])


SEVERAL = "several"
"""It was put to its user more than once: what answers one of the questions says nothing about the others."""


def open_question(confirmation: Confirmation, *, instead_of: str = "") -> str:
    """From now on its user is asked, and no app redeems it. The id of the question, for whoever asks it alone.

    ``instead_of``: the question it replaces.
    """
    question = secrets.token_hex(16)
    mine = Confirmation.objects.filter(pk=confirmation.pk)
    if (
        not mine.filter(question=instead_of)
        .exclude(redeemer=Redeemer.OWNER)
        .update(question=question, redeemer=Redeemer.USER)
    ):
        mine.update(question=SEVERAL)
        mine.filter(redeemer=Redeemer.APP).update(redeemer=Redeemer.USER)
    return question


def withdraw_question(confirmation: Confirmation, question: str) -> bool:
    """Nobody was asked by ``question``, so its app may confirm as if it had never been put. The one way to a looser
    mark: on paper, where the assistant confirms, and only while this is the one question about it."""
    mine = Confirmation.objects.filter(
        pk=confirmation.pk,
        redeemer=Redeemer.USER,
        question=question,
        redeemed_at=None,
        app__connection__environment=Environment.PAPER,
        app__connection__policy=Policy.TWO_STEP,
    ).exclude(question__in=("", SEVERAL))
    withdrawn = mine.update(redeemer=Redeemer.APP, question="") > 0
    confirmation.refresh_from_db(fields=["redeemer", "question"])
    return withdrawn


def end(confirmation: Confirmation) -> bool:
    """What it would start has ended; False when it was used or is over."""
    now = timezone.now()
    mine = Confirmation.objects.filter(pk=confirmation.pk, redeemed_at=None, expires_at__gt=now)
    return mine.update(expires_at=now) > 0


def hold_for_owner(confirmation: Confirmation) -> None:
    """From now on only its owner releases it, in the console: no rule of theirs stands in for them any more."""
    Confirmation.objects.filter(pk=confirmation.pk, redeemed_at=None).update(redeemer=Redeemer.OWNER, rule=None)
    confirmation.refresh_from_db(fields=["redeemer", "rule"])


def leave_to_owner(confirmation: Confirmation) -> None:
    """No rule of its owner's stands in for them any more."""
    Confirmation.objects.filter(pk=confirmation.pk, redeemed_at=None).update(rule=None)
    confirmation.rule = None


def is_over(now: datetime, of: str = "") -> Q:
    """Expired; or shown later than now, so that the clock was set back since and its end may be hours away.

    ``of``: the relation that leads to it, such as ``confirmation__``.
    """
    return Q(**{f"{of}expires_at__lte": now}) | Q(**{f"{of}created_at__gt": now + CLOCKS_APART})


def use(confirmation: Confirmation, now: datetime) -> bool:
    """Mark it as used, once. False: it was used, is over, or waits for somebody else than when it was read."""
    mine = Confirmation.objects.filter(pk=confirmation.pk, redeemer=confirmation.redeemer).exclude(is_over(now))
    if not mine.filter(redeemed_at=None).update(redeemed_at=now):
        return False
    confirmation.redeemed_at = now
    return True
