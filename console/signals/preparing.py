"""Prepares the order of each signal that was taken: claimed, prepared, recorded. A signal is no confirmation.

Whatever is prepared waits for its owner (``confirmations.redeemer_of``), unless the owner gave their approval in
advance: a standing rule that names the address and describes the order. A signal that no worker came to in time, or
that could not be prepared in time, is refused as late. One whose worker died is prepared again under the same client
order id, which finds the order that is there.
"""

import logging
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from brokers.types import OrderType, Side
from console import request_origin
from console.authority import admission
from console.authority.call_quota import CallKind
from console.errors import Code, Refusal, Retry
from console.orders import actions
from console.orders import prepare as preparing
from console.orders.models import Confirmation, Order
from console.orders.terms import Terms
from console.principal import Principal, Redeemer
from console.scopes import Scope
from console.signals import addresses, intake
from console.signals.models import Signal, SignalOutcome
from console.toolsets import Toolset

log = logging.getLogger(__name__)

IN_TIME = timedelta(seconds=60)
"""How long after it came a signal is prepared at the latest."""
_AGAIN_AFTER = timedelta(seconds=5)
_LEASE = timedelta(seconds=60)
"""Longer than preparing takes: a worker that was killed meanwhile is succeeded by another after it."""
_AT_ONCE = 20
_ENDPOINT = admission.PlainEndpoint(name="A signal", toolset=Toolset.TRADE, scope=Scope.TRADE, throttle=CallKind.TRADE)


def has_work() -> bool:
    """Whether a signal waits: one short look, for the scheduler."""
    return Signal.objects.filter(outcome=SignalOutcome.WAITING).exists()


def prepare_due() -> int:
    """Returns how many signals were worked on. Raises nothing of what one of them meets."""
    waiting = Signal.objects.filter(outcome=SignalOutcome.WAITING)
    done = 0
    for pk in list(waiting.filter(next_at__lte=timezone.now()).order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        now = timezone.now()
        if not waiting.filter(pk=pk, next_at__lte=now).update(next_at=now + _LEASE):
            continue
        done += 1
        signal = Signal.objects.select_related("address__app__connection", "address__app__owner").get(pk=pk)
        try:
            _work_on(signal)
        except Exception:  # it stays as it is and is tried again after the lease; the others do not wait for it
            log.exception("The signal %s could not be worked on", signal.public_id)
    return done


def _work_on(signal: Signal) -> None:
    began = time.perf_counter_ns()
    mine = Signal.objects.filter(pk=signal.pk, outcome=SignalOutcome.WAITING)
    order: Order | None = None
    refusal: Refusal | None = None
    try:
        order = _prepare(signal)
    except Refusal as error:
        if error.retry is Retry.SAFE and timezone.now() + _AGAIN_AFTER - signal.at <= IN_TIME:
            mine.update(next_at=timezone.now() + _AGAIN_AFTER)
            return
        refusal = error
    intake.record_call(
        signal,
        refusal,
        duration_us=(time.perf_counter_ns() - began) // 1000,
        order_id="" if order is None else order.public_id,
    )
    if refusal is None:
        mine.update(outcome=SignalOutcome.PREPARED, order=order, next_at=None)
    else:
        mine.update(outcome=SignalOutcome.REFUSED, code=refusal.code, message=str(refusal)[:500], next_at=None)


def _prepare(signal: Signal) -> Order:
    """Raises Refusal."""
    app = signal.address.app
    if app.revoked_at is not None:
        raise Refusal(Code.APP_REVOKED, f"{app.why_ended} Nothing was prepared.")
    late = timezone.now() - signal.at
    if late > IN_TIME and not _is_prepared(signal):
        raise Refusal(
            Code.SIGNAL_LATE,
            f"The signal came {late.total_seconds():,.0f} s before it could be prepared: no worker ran, or the broker "
            "did not answer. Nothing was prepared.",
        )
    principal = addresses.principal_of(signal.address, ip=signal.ip, user_agent=signal.user_agent)
    admission.admit(principal, _ENDPOINT)
    origin = request_origin.begin(principal, signal.request_id)
    try:
        prepared = preparing.prepare(
            principal, _terms(signal), client_order_id=signal.public_id, request_id=signal.request_id
        )
        if prepared.confirmation.rule_id is not None and late <= IN_TIME:
            _release_by_rule(principal, prepared.confirmation, signal)
        return prepared.order
    finally:
        request_origin.end(origin)


def _release_by_rule(principal: Principal, confirmation: Confirmation, signal: Signal) -> None:
    """By the owner's rule that names this address, as it is under the locks. What it leaves waits for the owner."""
    by_rule = replace(principal, redeemer=Redeemer.APP)  # of itself that releases nothing: see redeemer_of
    try:
        actions.confirm_all(by_rule, confirmation.public_id, request_id=signal.request_id)
    except Refusal as refusal:
        log.info("The order of the signal %s was not released by a rule: %s", signal.public_id, refusal.code)


def _is_prepared(signal: Signal) -> bool:
    """Its order is there, and only the row does not say so yet."""
    return Order.objects.filter(
        connection_id=signal.address.app.connection_id, client_order_id=signal.public_id
    ).exists()


def _terms(signal: Signal) -> Terms:
    told = signal.wanted
    price = told.get("limit_price")
    return Terms(
        symbol=told["symbol"],
        side=Side(told["side"]),
        quantity=Decimal(told["quantity"]),
        order_type=OrderType(told["order_type"]),
        limit_price=None if price is None else Decimal(price),
    )
