"""What a request may hold: closed objects of exact types. A field that fits none is refused by its name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.parsers import BaseParser

from brokers.decimals import plain, refuse_constant
from console import untrusted_text
from console.errors import Code, Refusal

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_DIGITS = re.compile(r"[0-9]{1,19}")
_IN_QUERY = "query"
_UNKNOWN = "unknown"
_AMOUNT = r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"


class Text(serializers.CharField):
    """One line of text, and nothing that could be read as text: 1 is not "1"."""

    default_error_messages = {"hidden": "It contains an invisible character: {char}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if places := untrusted_text.find_hidden(data):
            self.fail("hidden", char=untrusted_text.escape_character(data[places[0]]))
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A JSON integer; in a query string, where every value is text, its ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if self.context.get(_IN_QUERY):
            if not isinstance(data, str) or not _DIGITS.fullmatch(data):
                self.fail("invalid")
        elif isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(data)


class Id(Whole):
    """The number of a row. Beyond 64 bits the database could not even look."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=2**63 - 1, **options)


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return bool(data)


class Moment(serializers.DateTimeField):
    """A time with its offset (RFC 3339): without one it could be anybody's."""

    default_error_messages = {"naive": "Give the time with its UTC offset, such as 2026-11-02T15:00:00Z."}

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            self.fail("naive")
        return super().to_internal_value(value)


@extend_schema_field({"type": "string", "pattern": _AMOUNT, "examples": ["0.1"]})
class Amount(serializers.Field[Decimal, str, str, Any]):
    """An exact decimal, as text both ways: a JSON number may have been a float on its way here."""

    default_error_messages = {"invalid": 'Write a decimal number as text, such as "0.1".'}

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not re.fullmatch(_AMOUNT, data, re.ASCII) or data.endswith("\n"):
            self.fail("invalid")
        return Decimal(data)

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


class Strict(serializers.Serializer[Any]):
    """What a body, a part of one or a query string may hold, and nothing beside it."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        text = f"This takes: {', '.join(self.fields) or 'nothing'}."
        errors: dict[str, Any] = {str(name)[:60]: [ErrorDetail(text, code=_UNKNOWN)] for name in unknown}
        try:
            found = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not errors or not isinstance(error.detail, Mapping):
                raise
            raise serializers.ValidationError(errors | dict(error.detail)) from error
        if errors:
            raise serializers.ValidationError(errors)
        return found


class Nothing(Strict):
    pass


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    code: Code
    detail: str


class Invalid(Refusal):
    """Everything that was wrong with a request, field by field."""

    def __init__(self, errors: list[FieldError]) -> None:
        first = errors[0]
        super().__init__(first.code, f"{first.field}: {first.detail}", field=first.field)
        self.errors = errors


def read(kind: type[Strict], given: Mapping[str, Any], *, in_query: bool = False) -> dict[str, Any]:
    """The fields of ``kind``, parsed. Raises Invalid."""
    form = kind(data=given, context={_IN_QUERY: in_query})
    if not form.is_valid():
        raise Invalid([error for name, details in form.errors.items() for error in _field_error(name, details)])
    return dict(form.validated_data)


def _field_error(name: str, details: Any) -> list[FieldError]:
    if isinstance(details, Mapping):  # the items of a list, by their position
        return [error for place, inner in details.items() for error in _field_error(f"{name}.{place}", inner)]
    return [FieldError(name, _code(detail), str(detail)) for detail in details]


def _code(detail: ErrorDetail) -> Code:
    named = {"required": Code.MISSING_ARGUMENT, _UNKNOWN: Code.UNKNOWN_ARGUMENT}
    return named.get(detail.code or "", Code.INVALID_ARGUMENT)


def read_query(kind: type[Strict], given: QueryDict) -> dict[str, Any]:
    """The same for a query string, in which every value is text and a repeated name has no clear meaning."""
    for name, values in given.lists():
        if len(values) > 1:
            raise Invalid([FieldError(name[:60], Code.INVALID_ARGUMENT, "Send it only once.")])
    return read(kind, given.dict(), in_query=True)


class StrictJSON(BaseParser):
    """One JSON object (RFC 8259) of bounded size."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(raw) > settings.MAX_BODY_BYTES:
            raise Refusal(Code.BODY_TOO_LARGE, f"A request can have at most {settings.MAX_BODY_BYTES:,} bytes.")
        try:
            body = json.loads(raw, parse_constant=refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Refusal(Code.INVALID_REQUEST, "The body is not well-formed JSON.") from error
        if not isinstance(body, dict):
            raise Refusal(Code.INVALID_REQUEST, "The body must be a JSON object.")
        return body
