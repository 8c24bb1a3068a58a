"""What platforms send, checked field by field. Closed: what is not known is refused, never dropped."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import HttpRequest

from brokers.decimals import refuse_constant
from console.errors import Code, Refusal
from console.platforms.services import PaperTerms
from console.scopes import Scope
from console.untrusted_text import check_text

_SCOPES = {"read": Scope.READ, "trade": Scope.TRADE}
_CASH = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")
_MOST_CASH = Decimal(1_000_000_000)


def read(request: HttpRequest, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object of the body; ``optional``: an empty body is an empty object. Raises Refusal."""
    if not request.body:
        if optional:
            return {}
        raise Refusal(Code.INVALID_REQUEST, "The body is empty; send a JSON object.")
    if request.content_type != "application/json":
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
    try:
        found = json.loads(request.body, parse_float=Decimal, parse_constant=refuse_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise Refusal(Code.INVALID_REQUEST, "The body is not well-formed JSON.") from error
    if not isinstance(found, dict):
        raise Refusal(Code.INVALID_REQUEST, "The body must be a JSON object.")
    return found


def known(body: Mapping[str, Any], *names: str, within: str = "the body") -> None:
    for name in body:
        if name not in names:
            raise Refusal(
                Code.UNKNOWN_ARGUMENT, f"{within} accepts {', '.join(names)}, not {name[:60]!r}.", field=name[:60]
            )


def scopes(body: Mapping[str, Any]) -> frozenset[Scope]:
    given = body.get("scopes")
    if not isinstance(given, list) or not given:
        raise Refusal(Code.INVALID_ARGUMENT, 'Send "scopes": ["read"] or ["read", "trade"].', field="scopes")
    for word in given:
        if not isinstance(word, str) or word not in _SCOPES:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"There is no scope {str(word)[:60]!r}; there are read and trade.",
                field="scopes",
            )
    return frozenset(_SCOPES[word] for word in given)


def connection_id(body: Mapping[str, Any]) -> int | None:
    given = body.get("connection_id")
    if given is None:
        return None
    if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 19:
        given = int(given)
    if type(given) is not int or not 0 < given < 2**63:
        raise Refusal(Code.INVALID_ARGUMENT, "connection_id must be the id of a connection.", field="connection_id")
    return given


def text(body: Mapping[str, Any], name: str, *, most: int, required: bool = False) -> str:
    given = body.get(name, "")
    if not isinstance(given, str) or len(given) > most or (required and not given.strip()):
        raise Refusal(Code.INVALID_ARGUMENT, f"{name} must be text of at most {most} characters.", field=name)
    return check_text(given, field=name, what=name)


def paper(body: Mapping[str, Any]) -> PaperTerms:
    known(body, "name", "starting_cash", "trading_enabled", within="connection")
    trading = body.get("trading_enabled", True)
    if not isinstance(trading, bool):
        raise Refusal(Code.INVALID_ARGUMENT, "trading_enabled must be true or false.", field="trading_enabled")
    return PaperTerms(text(body, "name", most=60, required=True), _cash(body.get("starting_cash")), trading)


def _cash(given: object) -> Decimal:
    """A JSON number was read as it stands, so it may be one."""
    is_number = isinstance(given, int | Decimal) and not isinstance(given, bool)
    fits = is_number or (isinstance(given, str) and _CASH.fullmatch(given) is not None)
    amount = Decimal(str(given)) if fits else None
    if amount is None or not amount.is_finite() or not 1 <= amount <= _MOST_CASH or amount != round(amount, 2):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            'starting_cash must be decimal text from "1" to "1000000000", with at most 2 decimals.',
            field="starting_cash",
        )
    return round(amount, 2)
