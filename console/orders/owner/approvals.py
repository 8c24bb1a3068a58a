"""The owner's own yes or no to what waits for it. Only the console leads here: no token of any kind does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.compiled_queries import Statement
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit import masking
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.orders.execution import release
from console.orders.models import Action, Confirmation, Modification, Order
from console.orders.states import AmendmentStatus, Status
from console.orders.transitions import order_state
from console.principal import Redeemer

RELEASED, REJECTED = "order released", "order rejected"
"""What the audit log calls the two."""

REASONS = {
    "other": "",
    "price": "The price is not right.",
    "size": "It is too large.",
    "instrument": "Not this instrument.",
    "timing": "Not now.",
    "unasked": "I did not request this.",
}
MAX_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How the person at the browser has just proved, for this very order, who they are."""

    proof: Proof
    label: str
    """In words: ``passkey Laptop``, ``password``."""
    credential: int | None = None
    """Row of the passkey."""
    ip: str = ""

    def as_text(self) -> dict[str, Any]:
        made: dict[str, Any] = {"proof": self.proof.value, "how": self.label, "ip": self.ip}
        return made if self.credential is None else {**made, "credential": self.credential}


def visible(owner: User) -> QuerySet[Confirmation]:
    """What this person may look at and decide: confirmations on their own connections."""
    return Confirmation.objects.filter(app__connection__owner=owner).select_related("app__connection__owner", "rule")


def awaiting(owner: User) -> QuerySet[Confirmation]:
    """Those that can still be decided, whoever else may release them, the soonest to end first."""
    return undecided(timezone.now()).filter(app__connection__owner=owner).order_by("expires_at", "pk")


def undecided(now: datetime) -> QuerySet[Confirmation]:
    """Everybody's: of orders, of changes of orders, and of trading plans. What a plan releases itself is not among
    them."""
    orders = Order.objects.filter(status=Status.AWAITING, parent=None).values("confirmation")
    changes = Modification.objects.filter(status=AmendmentStatus.AWAITING).values("confirmation")
    found = Confirmation.objects.filter(redeemed_at=None, expires_at__gt=now)
    wanted = Q(pk__in=orders, plan_id="") | Q(pk__in=changes) | Q(action=Action.PLAN)
    return found.filter(wanted).select_related("app__connection__owner", "rule")


def for_owner(owner: User) -> QuerySet[Confirmation]:
    """Of those, the ones that nobody but the owner can release."""
    return awaiting(owner).filter(OWNERS)


def waiting_now(owner: User) -> list[tuple[str, str]]:
    """The public id and the environment of each of ``for_owner``: every page asks."""
    return _WAITING.rows(owner.pk, timezone.now())


OWNERS = Q(rule=None) & (Q(redeemer=Redeemer.OWNER) | ~Q(app__connection__policy=Policy.TWO_STEP))
"""Confirmations that only the owner redeems, as ``Confirmation.decided_by`` has it, and no rule of theirs covers."""


_WAITING = Statement(
    lambda owner_id, now: (
        undecided(now)
        .filter(OWNERS, app__connection__owner_id=owner_id)
        .values_list("public_id", "app__connection__environment")
    )
)


def approve(
    confirmation: Confirmation, *, by: User, evidence: Evidence, seen: str, request_id: str = ""
) -> list[Order]:
    """Release what the confirmation covers and send it, once. Everything is checked again first.

    ``seen`` is the digest of what the page showed. Raises Refusal: when this person or this proof may not, and as
    ``release.release`` does.
    """

    def may(connection: Connection) -> None:
        _check_owner(connection, by)
        if connection.is_live and evidence.proof is not Proof.PASSKEY:
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "Real money: you need a passkey to release it. Nothing was sent; the order is still waiting.",
            )

    def record(orders: list[Order]) -> None:
        for order in orders:
            said = f"The owner released it in the console, with {evidence.label}."
            order_state.add_event(order, order.status, said, by.email, request_id, {"decision": evidence.as_text()})
            _record(by, RELEASED, confirmation, order, proof=evidence.proof.value,
                     how=evidence.label, credential=evidence.credential)  # fmt: skip

    _check_no_plan(confirmation)
    if seen != confirmation.terms_digest:
        raise Refusal(
            Code.CONFIRMATION_CHANGED,
            "The order has changed since the page was shown. Nothing was sent; check the order again.",
        )
    return release.release(confirmation, authorize=may, by=by.email, request_id=request_id, on_released=record)


@transaction.atomic
def reject(confirmation: Confirmation, *, by: User, reason: str, words: str = "", request_id: str = "") -> list[Order]:
    """End what waits, unsent. ``reason`` is one of REASONS; ``words`` are the owner's own, which the app is told.

    It needs no proof beyond the session: it only ever stops something. Raises Refusal when it has moved on.
    """
    _check_owner(confirmation.app.connection, by)
    _check_no_plan(confirmation)
    words = " ".join(masking.mask(words).split())[:MAX_REASON_LENGTH].rstrip()
    said = " ".join(part for part in (REASONS[reason], words) if part)
    what = f'The owner declined it in the console and wrote: "{said}"' if said else "The owner declined it."
    orders = release.discard(confirmation, what, by=by.email, request_id=request_id, code=Code.REJECTED_BY_OWNER)
    for order in orders:
        if order.code == Code.REJECTED_BY_OWNER or confirmation.is_about_an_order:
            _record(by, REJECTED, confirmation, order, reason=reason, words=words)
    return orders


def _check_no_plan(confirmation: Confirmation) -> None:
    """A trading plan is decided as a whole, on its own page, and releases its orders by itself."""
    if confirmation.plan_id:
        raise Refusal(Code.NOT_PERMITTED, "This belongs to a plan, which is approved and stopped on its own page.")


def _check_owner(connection: Connection, user: User) -> None:
    if connection.owner_id != user.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can decide about its orders.")


def _record(by: User, action: str, confirmation: Confirmation, order: Order, **detail: Any) -> None:
    label = f"{order.side.capitalize()} {order.symbol} on {order.connection.name}"
    if confirmation.action == Action.CANCEL:
        label = f"Cancel: {label}"
    audit_log.record_change(
        by,
        action,
        "order",
        order.public_id,
        label,
        before={"confirmation": "pending"},
        after={"confirmation": action},
        connection_id=order.connection_id,
        environment=order.connection.environment,
        **detail,
    )
