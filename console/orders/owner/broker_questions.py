"""The owner's own yes or no to what a broker asks before it takes or changes an order. Only the console leads here.

A yes is committed before it is sent and sent once, as the order was: a lost answer leaves the order UNKNOWN, and it is
looked up. What was checked at release is checked again before, as minutes may have passed. A yes that does not pass, a
no, or no answer in time ends the order here; without a yes nothing stands at the broker. A change is answered alike;
the order then stands as it was.
"""

from datetime import datetime
from typing import NoReturn

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.compiled_queries import Statement
from brokers.errors import BrokerError, WriteOutcome
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.halts.services import Proof
from console.orders import states
from console.orders.checks import check_rows, check_subject, pipeline
from console.orders.checks.check_rows import AppRows
from console.orders.checks.check_subject import Facts, Subject
from console.orders.checks.pipeline import About, Stage
from console.orders.execution import amendments, submit
from console.orders.models import Modification, Order, Question
from console.orders.owner.approvals import Evidence
from console.orders.states import AmendmentStatus, Status
from console.orders.transitions import amendment_state, order_state
from console.orders.transitions.order_state import ConcurrentUpdate

ANSWERED = "question answered"
"""What the audit log calls it."""


def visible(owner: User) -> QuerySet[Question]:
    return _with_related(Question.objects.filter(order__connection__owner=owner))


def open_questions(owner: User) -> QuerySet[Question]:
    """Those that can still be answered, the soonest to end first."""
    return unanswered(timezone.now()).filter(order__connection__owner=owner).order_by("expires_at", "pk")


def open_now(owner: User) -> list[tuple[str, str]]:
    """The public id and the environment of each of ``open_questions``: every page asks."""
    return _OPEN.rows(owner.pk, timezone.now())


_OPEN = Statement(
    lambda owner_id, now: (
        unanswered(now)
        .filter(order__connection__owner_id=owner_id)
        .values_list("public_id", "order__connection__environment")
    )
)


def unanswered(now: datetime) -> QuerySet[Question]:
    """Everybody's."""
    of_order, of_change = (
        Q(modification=None, order__status=Status.ASKED),
        Q(modification__status=AmendmentStatus.ASKED),
    )
    # By themselves first, as few as they are: SQLite would go through the orders and look for questions about each.
    unended = Question.objects.filter(answer="", expires_at__gt=now)
    return _with_related(Question.objects.filter(of_order | of_change, pk__in=unended.values("pk")))


def _with_related(found: QuerySet[Question]) -> QuerySet[Question]:
    return found.select_related(
        "order__connection__owner", "order__app", "order__confirmation", "modification__confirmation"
    )


def has_asked_before(connection: Connection) -> bool:
    """Whether a broker has asked there before."""
    if not Question.objects.exists():  # as nearly everywhere: then no order is looked through for one
        return False
    return Question.objects.filter(order__connection=connection).exists()


def accept(question: Question, *, by: User, evidence: Evidence, seen: str, request_id: str = "") -> Order:
    """Send the owner's yes, once. ``seen`` is the digest of what the page showed.

    Raises Refusal: when this person or this proof may not, when it was answered or has ended, when the app or the
    connection may not trade now; the question then waits, as it does while the broker cannot be reached. When limits,
    price or position do not bear it any more it ends as with a no.
    """
    order = question.order
    _check_owner(order.connection, by)
    if order.connection.is_live and evidence.proof is not Proof.PASSKEY:
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED, "Real money: you need a passkey to answer yes. The question is still open."
        )
    if seen != question.digest:
        raise Refusal(
            Code.CONFIRMATION_CHANGED,
            "The question has changed since the page was shown. Nothing was answered; check it again.",
        )
    asking = check_rows.app_rows(question.asker.pk)
    pipeline.require(_subject(question, asking), Stage.CONFIRMED, about={About.ASKER})
    try:
        checked = _check_again(question, asking)
        _commit_yes(question, checked, by, evidence, request_id)
    except BrokerError as error:
        if error.outcome is not WriteOutcome.REJECTED:
            _check_unanswered(question)
            said = f"{error} Nothing was answered; the question is still open."
            raise Refusal(Code.BROKER_UNAVAILABLE, said, order_id=order.public_id) from error
        _refuse(question, refusal_of(error), by, evidence, request_id)
    except _RecheckFailed as stopped:
        _refuse(question, stopped.refusal, by, evidence, request_id)
    return submit.answer_yes(question)


class _RecheckFailed(Exception):
    """What was checked again does not pass."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def _subject(question: Question, asking: AppRows) -> Subject:
    order, change = question.order, question.modification
    if change is not None:
        return amendments.subject_of(change, asking)(change.order)
    return check_subject.of_order(order, asking, order.confirmation, {}, by_quote=True)


def _check_again(question: Question, asking: AppRows) -> Facts:
    """What its broker says of it now, as at its release. Raises BrokerError, Refusal, _RecheckFailed."""
    change = question.modification
    if change is not None and change.order.state not in states.AT_BROKER:
        raise _too_late(change.order)
    try:
        if change is not None:
            return amendments.validate(change.order, amendments.subject_of(change, asking), Stage.CONFIRMED)
        return pipeline.require(_subject(question, asking), Stage.CONFIRMED, about={About.POSITION, About.ORDER})
    except Refusal as refusal:
        raise _RecheckFailed(refusal) from refusal


@transaction.atomic
def _commit_yes(
    question: Question,
    checked: Facts,
    by: User,
    evidence: Evidence,
    request_id: str,
) -> None:
    """Under the locks of the app's and the connection's row, as at release. Raises Refusal, _RecheckFailed."""
    order, change = question.order, question.modification
    asking = check_rows.locked(question.asker.pk)
    locked = checked.subject.under_locks(asking)
    pipeline.require(locked, Stage.LOCKED, checked, about={About.ASKER})
    _consume(question, "yes")
    said = f"The owner answered yes in the console, with {evidence.label}. Sending it to the broker."
    if change is not None:
        standing = Order.objects.select_for_update().get(pk=order.pk)
        if standing.state not in states.AT_BROKER:
            raise _too_late(order)
        try:
            worst = amendments.check_locked(change, standing, checked, asking)
        except Refusal as refusal:
            raise _RecheckFailed(refusal) from refusal
        _move_change(change, AmendmentStatus.SENDING, said, by, request_id, code="", reason="")
        amendments.count_worst(standing, worst)
    else:
        try:
            worst = pipeline.require(locked, Stage.LOCKED, checked).worst
        except Refusal as refusal:
            raise _RecheckFailed(refusal) from refusal
        now = timezone.now()
        told = {"decision": evidence.as_text(), "question": question.public_id}
        fields = {"data": told, "sent_at": now, "released_at": now, "worst_notional": worst, "code": "", "reason": ""}
        _move(order, Status.SENDING, said, by, request_id, **fields)
    _record(by, question, answer="yes", proof=evidence.proof.value, how=evidence.label)


def _refuse(question: Question, refusal: Refusal, by: User, evidence: Evidence, request_id: str) -> NoReturn:
    """End it as a no does, saying why its owner's yes was not sent. Raises Refusal."""
    refusal.order_id = question.order.public_id
    with transaction.atomic():
        _consume(question, "no")
        said = f"The owner answered yes to the broker's question, but it was not sent: {refusal}"
        _end(question, said, by, request_id, code=refusal.code, reason=str(refusal)[:500])
        told = {"proof": evidence.proof.value, "how": evidence.label, "refused": refusal.code.value}
        _record(by, question, answer="yes", **told)
    submit.answer_no(question)
    raise refusal


def decline(question: Question, *, by: User, request_id: str = "") -> Order:
    """End the order, and tell the broker no, once. It needs no proof beyond the session. Raises Refusal."""
    order = question.order
    _check_owner(order.connection, by)
    with transaction.atomic():
        _consume(question, "no")
        said = "The owner answered no to the broker's question."
        _end(question, said, by, request_id, code=Code.REJECTED_BY_OWNER, reason=said)
        _record(by, question, answer="no")
    submit.answer_no(question)
    return order


def _end(question: Question, said: str, by: User, request_id: str, *, code: Code, reason: str) -> None:
    is_owners = code is Code.REJECTED_BY_OWNER
    if question.modification is not None:
        ended = AmendmentStatus.REJECTED_BY_OWNER if is_owners else AmendmentStatus.DENIED
        _move_change(question.modification, ended, said, by, request_id, code=code, reason=reason)
    else:
        placed = f"{said} Nothing was placed."
        after = Status.REJECTED_BY_OWNER if is_owners else Status.DENIED
        _move(question.order, after, placed, by, request_id, code=code, reason=reason)


def _consume(question: Question, answer: str) -> None:
    now = timezone.now()
    mine = Question.objects.filter(pk=question.pk, answer="", expires_at__gt=now)
    if not mine.update(answer=answer, answered_at=now):
        _check_unanswered(question)
        raise _too_late(question.order)


def _check_unanswered(question: Question) -> None:
    """Raises Refusal."""
    told = Question.objects.values_list("answer", flat=True).get(pk=question.pk)
    if told:
        said = f"The broker already has your answer: {told}. Nothing was sent again."
        raise Refusal(Code.CONFIRMATION_USED, said, order_id=question.order.public_id)


def _move(order: Order, after: Status, what: str, by: User, request_id: str, **fields: object) -> None:
    try:
        order_state.move(order, after, what, by.email, request_id, **fields)  # type: ignore[arg-type]  # data and fields alike
    except ConcurrentUpdate as error:
        raise _too_late(order) from error


def _move_change(
    change: Modification, after: AmendmentStatus, what: str, by: User, request_id: str, **fields: object
) -> None:
    try:
        amendment_state.move(change, after, what, by.email, request_id, **fields)
    except ConcurrentUpdate as error:
        raise _too_late(change.order) from error


def _too_late(order: Order) -> Refusal:
    return Refusal(
        Code.CONFIRMATION_EXPIRED,
        "It is too late to answer, and nothing was sent. Prepare it again.",
        order_id=order.public_id,
    )


def _check_owner(connection: Connection, user: User) -> None:
    if connection.owner_id != user.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can answer.")


def _record(by: User, question: Question, **detail: object) -> None:
    order = question.order
    label = f"{order.side.capitalize()} {order.symbol} on {order.connection.name}"
    told = {"environment": order.connection.environment, "question": question.words, **detail}
    audit_log.record_change(
        by,
        ANSWERED,
        "order",
        order.public_id,
        label,
        before={"answer": "none"},
        after={"answer": told.get("answer", "")},
        connection_id=order.connection_id,
        **told,
    )
