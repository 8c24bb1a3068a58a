"""Every refusal as RFC 9457 problem details, under the codes that MCP and the audit use."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from brokers.errors import BrokerError
from console.accounts.presence import ProofNeeded
from console.api.parsing import Invalid
from console.errors import DATABASE_AWAY, EXPLANATIONS, Code, Refusal, database_away, first_line, refusal_of
from console.help import error_links

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# What is not named here was understood and refused: 422 (RFC 9110 section 15.5.21).
STATUS: dict[Code, int] = {
    Code.INVALID_REQUEST: 400,
    Code.UNKNOWN_ARGUMENT: 400,
    Code.MISSING_ARGUMENT: 400,
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.WRONG_AUDIENCE: 401,
    Code.ORIGIN_REFUSED: 403,
    Code.NOT_PERMITTED: 403,
    Code.IP_NOT_ALLOWED: 403,
    Code.LIVE_FROZEN: 403,
    Code.HALTED: 403,
    Code.LIMITS_REQUIRED: 403,
    Code.APPROVAL_REQUIRED: 403,
    Code.USER_IS_ASKED: 403,
    Code.WAITS_FOR_OWNER: 403,
    Code.OWNERS_ORDER: 403,
    Code.ANOTHER_APPS_ORDER: 403,
    Code.CSRF_FAILED: 403,
    Code.RE_AUTHENTICATION_REQUIRED: 403,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.TRADING_DISABLED: 403,
    Code.APP_PAUSED: 403,
    Code.APP_REVOKED: 403,
    Code.CONNECTION_PAUSED: 403,
    Code.NOT_FOUND: 404,
    Code.UNKNOWN_ORDER: 404,
    Code.CONFIRMATION_UNKNOWN: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.NOT_CANCELLABLE: 409,
    Code.DUPLICATE_ORDER_ID: 409,
    Code.CONFIRMATION_EXPIRED: 409,
    Code.CONFIRMATION_USED: 409,
    Code.CONFIRMATION_CHANGED: 409,
    Code.CONFIRMED_TOO_SOON: 409,
    Code.BODY_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL_ERROR: 500,
    Code.OUTCOME_UNKNOWN: 502,
    Code.BROKER_UNAVAILABLE: 503,
    Code.LIMIT_UNPROVABLE: 503,
    Code.AUDIT_UNAVAILABLE: 503,
    Code.DATABASE_UNAVAILABLE: 503,
}


class FieldProblem(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class LimitProblem(serializers.Serializer[Any]):
    """Amounts as text, in ``unit``."""

    name = serializers.CharField()
    of = serializers.CharField()
    value = serializers.CharField()
    unit = serializers.CharField()
    used = serializers.CharField()
    headroom = serializers.CharField()


class CandidateProblem(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    instrument_id = serializers.CharField(required=False)
    name = serializers.CharField()
    exchange = serializers.CharField()
    expiry = serializers.CharField(required=False)


class ProofProblem(serializers.Serializer[Any]):
    """What the same request may be sent again with, as its member ``proof``: one of these."""

    passkey = serializers.DictField(
        required=False,
        help_text="WebAuthn request options. Send the resulting credential as PublicKeyCredential.toJSON() returns it.",
    )
    typed = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Members to send, such as password and code."
    )


class Problem(serializers.Serializer[Any]):
    """RFC 9457. ``code`` is stable; ``type`` leads to its explanation."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=[code.value for code in Code])
    request_id = serializers.CharField()
    order_id = serializers.CharField(required=False, help_text="The order it is about.")
    limit = LimitProblem(required=False, help_text="The limit that refused it.")
    proof = ProofProblem(required=False, help_text="How a session proves presence for this request.")
    candidates = CandidateProblem(many=True, required=False, help_text="The instruments the name could mean.")
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # a field's name, not the attribute


def refusal_from(error: Exception, request_id: str) -> Refusal:
    """The refusal behind whatever an endpoint raised."""
    match error:
        case Refusal():
            return error
        case BrokerError():
            return refusal_of(error)
        case Http404() | exceptions.NotFound():
            return Refusal(Code.NOT_FOUND, "There is nothing at this address.")
        case exceptions.MethodNotAllowed():
            return Refusal(Code.METHOD_NOT_ALLOWED, "This address does not accept this method.")
        case exceptions.UnsupportedMediaType():
            return Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
        case RequestDataTooBig():
            return Refusal(Code.BODY_TOO_LARGE, f"A request can have at most {settings.MAX_BODY_BYTES:,} bytes.")
    if isinstance(error, DATABASE_AWAY):
        log.error("Request %s failed: the database does not answer: %s", request_id, first_line(error))
        return database_away(did_nothing=False)
    log.error("Request %s failed", request_id, exc_info=error)
    return Refusal(
        Code.INTERNAL_ERROR,
        f"Something went wrong in Tradelatch. The operator can find it in the log under {request_id}.",
    )


def answer(refusal: Refusal, request_id: str) -> Response:
    status = STATUS.get(refusal.code, 422)
    body: dict[str, Any] = {
        "type": error_links.error_page_url(refusal.code),
        "title": EXPLANATIONS[refusal.code].title,
        "status": status,
        "detail": str(refusal),
        "code": refusal.code.value,
        "request_id": request_id,
    }
    if refusal.order_id:
        body["order_id"] = refusal.order_id
    if refusal.limit:
        body["limit"] = dict(refusal.limit)
    if isinstance(refusal, ProofNeeded):
        body["proof"] = dict(refusal.offers)
    if refusal.candidates:
        body["candidates"] = [dict(each) for each in refusal.candidates]
    if isinstance(refusal, Invalid):
        body["errors"] = [{"field": e.field, "code": e.code.value, "detail": e.detail} for e in refusal.errors]
    elif refusal.field:
        body["errors"] = [{"field": refusal.field, "code": refusal.code.value, "detail": str(refusal)}]
    response = Response(body, status=status, content_type=MEDIA_TYPE)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Tradelatch REST API"'
    if refusal.retry_after is not None:
        response["Retry-After"] = str(round(refusal.retry_after))
    return response
