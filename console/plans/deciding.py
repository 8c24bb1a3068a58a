"""Whose yes starts a plan, and who pauses, resumes and ends one.

A plan is started once, by its one confirmation, as an order is released: by its app where the assistant confirms, by
the owner with a proof where they do. Anybody who may act there stops it; only its owner, with a proof, lets it go on.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.orders import queries as order_queries
from console.orders.checks import check_rows, order_access, permission
from console.orders.checks.check_subject import Authorize
from console.orders.owner.approvals import Evidence
from console.orders.terms import digest
from console.orders.transitions import confirmations
from console.plans import bounds, preparing, queries, transitions
from console.plans.models import PlanChild, TradingPlan
from console.plans.states import ChildStatus, PlanStatus
from console.principal import Principal, Redeemer

# -- started -------------------------------------------------------------------------------------------------


def confirm(principal: Principal, confirmation_id: str) -> TradingPlan:
    """The app's yes, or that of its user in their client. Raises Refusal."""
    plan = of_confirmation(principal, confirmation_id)
    by = principal.redeemer
    may = permission.redeemable_by(by, plan.confirmation)
    _start(plan, may, by=principal.app_label, decided=by)
    return plan


def approve(plan: TradingPlan, *, by: User, evidence: Evidence, seen: str) -> None:
    """The owner's yes, in the console. ``seen`` is the digest of what the page showed. Raises Refusal."""

    def may(connection: Connection) -> None:
        _check_owner(plan, by)
        if connection.is_live and evidence.proof is not Proof.PASSKEY:
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "Real money: you need a passkey to start it. Nothing was sent; the plan is still waiting.",
            )

    if seen != plan.confirmation.terms_digest:
        raise Refusal(Code.CONFIRMATION_CHANGED, "The plan has changed since the page was shown. Check it again.")
    _start(plan, may, by=by.email, decided=Redeemer.OWNER, user=by, evidence=evidence)


def _start(
    plan: TradingPlan,
    authorize: Authorize,
    *,
    by: str,
    decided: Redeemer,
    user: User | None = None,
    evidence: Evidence | None = None,
) -> None:
    confirmation = plan.confirmation
    with transaction.atomic():
        asking = check_rows.locked(plan.app_id)
        now = timezone.now()
        authorize(asking.connection)
        _check_waits(plan)
        if digest(confirmation.terms) != confirmation.terms_digest or not preparing.is_as_shown(
            plan, confirmation.terms
        ):
            raise Refusal(
                Code.CONFIRMATION_CHANGED, "The plan is no longer what was shown. Nothing was sent; prepare it again."
            )
        permission.check_permission(asking.app, asking.connection)
        bounds.check_toolset(asking.app)
        bounds.check_credentials(asking.app, now)
        asking.check_halts(halts.GatedAction.RELEASE, plan.account_id)
        if plan.starts_after is not None and plan.starts_after + bounds.LATE < now:
            raise Refusal(
                Code.CONFIRMATION_EXPIRED, "The time of its first order has passed. Nothing was sent; prepare it again."
            )
        if not confirmations.use(confirmation, now):
            raise _over(plan)
        begins = plan.starts_after or now
        if not transitions.move(
            plan,
            PlanStatus.RUNNING,
            f"Confirmed {confirmation.confirmed_after} after it was shown."
            + (f" With {evidence.label}." if evidence is not None else ""),
            by,
            confirmed_at=now,
            confirmed_by=decided,
            confirmed_with="" if evidence is None else evidence.label[:80],
            heard_since=now,
            ends_at=begins + timedelta(seconds=plan.lasts_seconds),
        ):
            raise _over(plan)
        transitions.set_times(plan, begins)
        if user is not None:
            _record(user, "plan started", plan, evidence)


def _check_waits(plan: TradingPlan) -> None:
    """Raises Refusal."""
    plan.refresh_from_db()
    plan.confirmation.refresh_from_db()
    if plan.state is not PlanStatus.AWAITING or plan.confirmation.redeemed_at is not None:
        raise _over(plan)
    if plan.confirmation.expires_at <= timezone.now():
        raise _over(plan)


def _over(plan: TradingPlan) -> Refusal:
    plan.refresh_from_db()
    if plan.state is PlanStatus.DECLINED:
        return Refusal(Code.REJECTED_BY_OWNER, f"{plan.reason} Nothing was sent.")
    if plan.confirmed_at is not None or plan.confirmation.redeemed_at is not None:
        return Refusal(
            Code.CONFIRMATION_USED,
            f"This confirmation was used already, for plan {plan.public_id}, which is {plan.status}. Nothing was "
            "started again.",
        )
    return Refusal(
        Code.CONFIRMATION_EXPIRED,
        f"This confirmation expired after {plan.confirmation.lifetime_text}, or its plan was discarded. Nothing was "
        "sent; prepare the plan again.",
    )


def of_confirmation(principal: Principal, confirmation_id: str) -> TradingPlan:
    """The plan that a confirmation of the principal's own app starts. Raises Refusal."""
    confirmation = order_queries.confirmation_of(principal, confirmation_id)
    plan = queries.with_rows().filter(confirmation=confirmation).first()
    if plan is None:
        raise Refusal(Code.CONFIRMATION_UNKNOWN, "This app has no such confirmation.", field="confirmation_id")
    return plan


# -- not started ---------------------------------------------------------------------------------------------


def discard(principal: Principal, confirmation_id: str) -> TradingPlan:
    """By its app, before it was started. Raises Refusal when it has moved on."""
    plan = of_confirmation(principal, confirmation_id)
    if principal.redeemer is Redeemer.APP and plan.confirmation.decided_by(plan.connection) is Redeemer.OWNER:
        raise Refusal(
            Code.WAITS_FOR_OWNER,
            f"Plan {plan.public_id} waits for its owner, who approves or declines it in the console. Nothing was done.",
        )
    _end_unstarted(plan, PlanStatus.DISCARDED, "Discarded before it was confirmed.", principal.app_label)
    return plan


def decline(plan: TradingPlan, *, by: User, words: str = "") -> None:
    """The owner's no. It needs no proof: it only ever stops something. Raises Refusal when it has moved on."""
    _check_owner(plan, by)
    said = f'The owner declined it and wrote: "{words}"' if words else "The owner declined it."
    with transaction.atomic():
        _end_unstarted(plan, PlanStatus.DECLINED, said, by.email, Code.REJECTED_BY_OWNER)
        _record(by, "plan declined", plan, None)


@transaction.atomic
def _end_unstarted(plan: TradingPlan, after: PlanStatus, what: str, by: str, code: Code | None = None) -> None:
    _check_waits(plan)
    if not transitions.move(plan, after, what, by, code=code or ""):
        raise _over(plan)
    confirmations.end(plan.confirmation)


# -- paused, resumed, ended ----------------------------------------------------------------------------------


def _guards(plan: TradingPlan, user: User | None) -> list[PlanChild]:
    """Open orders of it whose cancel waits for the owner, as that of any order an app would cancel."""
    if user is not None:
        return []
    found = PlanChild.objects.filter(plan=plan, status=ChildStatus.OPEN).select_related("order__connection")
    return [child for child in found if child.order is not None and order_access.cancel_needs_owner(child.order)]


def pause(plan: TradingPlan, *, by: str, user: User | None = None) -> bool:
    """It sends nothing more, and its open orders are cancelled; False when it was not running.

    Without ``user``, an app asks: where the owner releases orders, what guards a position stays then.
    """
    guards = _guards(plan, user)
    with transaction.atomic():
        paused = transitions.move(plan, PlanStatus.PAUSED, f"Paused by {by}.", by)
        if paused:
            transitions.keep(plan, guards)
        if paused and user is not None:
            _record(user, "plan paused", plan, None)
    return paused


def resume(plan: TradingPlan, *, by: User, evidence: Evidence) -> bool:
    """From now on it sends again; what it missed is skipped as what comes too late is. Raises Refusal."""
    _check_owner(plan, by)
    if plan.connection.is_live and evidence.proof is not Proof.PASSKEY:
        raise Refusal(Code.RE_AUTHENTICATION_REQUIRED, "Real money: you need a passkey to resume it.")
    with transaction.atomic():
        asking = check_rows.locked(plan.app_id)
        now = timezone.now()
        permission.check_permission(asking.app, asking.connection)
        bounds.check_toolset(asking.app)
        bounds.check_credentials(asking.app, now)
        asking.check_halts(halts.GatedAction.RELEASE, plan.account_id)
        plan.refresh_from_db()
        if plan.ends_at is not None and plan.ends_at <= now:
            raise Refusal(Code.CONFIRMATION_EXPIRED, "The time of this plan is over, so it cannot be resumed.")
        # The owner's proof now is their yes to the plan, under whatever policy there is by now.
        said = f"Resumed by {by.email}, with {evidence.label}."
        resumed = transitions.move(
            plan,
            PlanStatus.RUNNING,
            said,
            by.email,
            heard_since=now,
            confirmed_by=Redeemer.OWNER,
            confirmed_with=evidence.label[:80],
        )
        if resumed:
            _record(by, "plan resumed", plan, evidence)
    return resumed


def cancel(plan: TradingPlan, *, by: str, user: User | None = None) -> bool:
    """It is over, and its open orders are cancelled, as by ``pause``; what it bought or sold stays. False when it was
    over before."""
    guards = _guards(plan, user)
    with transaction.atomic():
        ended = transitions.move(plan, PlanStatus.CANCELLED, f"Cancelled by {by}.", by)
        if ended:
            transitions.keep(plan, guards)
            if user is not None:
                _record(user, "plan cancelled", plan, None)
    return ended


def own(principal: Principal, plan_id: str) -> TradingPlan:
    """A plan of the principal's own app. Raises Refusal."""
    app = ConnectedApp.objects.get(pk=principal.app_id)
    mine = ConnectedApp.objects.filter(app.same)
    plan = queries.with_rows().filter(public_id=plan_id, app__in=mine, connection_id=principal.connection_id).first()
    if plan is None:
        raise Refusal(Code.NOT_FOUND, f"This app has no plan {plan_id!r}.", field="plan_id")
    return plan


def _check_owner(plan: TradingPlan, user: User) -> None:
    if plan.connection.owner_id != user.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can decide about its plans.")


def _record(user: User, action: str, plan: TradingPlan, evidence: Evidence | None) -> None:
    proof: dict[str, Any] = {} if evidence is None else {"how": evidence.label, "credential": evidence.credential}
    audit_log.record_change(
        user,
        action,
        "plan",
        plan.public_id,
        plan.heading,
        after={"status": plan.status},
        connection_id=plan.connection_id,
        environment=plan.connection.environment,
        **proof,
    )
