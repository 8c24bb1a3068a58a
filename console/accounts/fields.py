"""What every form asks of the words that a person types into it."""

from django.core.exceptions import ValidationError

from console import claims, text
from console.errors import Refusal


def seen(value: str) -> None:
    """One line, of characters that can be seen. Raises ValidationError."""
    _check(value, lines=False)


def seen_lines(value: str) -> None:
    """The same of several lines."""
    _check(value, lines=True)


def own_name(value: str) -> None:
    """A program's name, which people read where they decide. Raises ValidationError."""
    try:
        claims.clean(value)
    except Refusal as refusal:
        raise ValidationError(str(refusal), code="invalid") from refusal


def _check(value: str, *, lines: bool) -> None:
    try:
        text.checked(value, field="", what="text", lines=lines)
    except Refusal as refusal:
        raise ValidationError(str(refusal), code="invalid") from refusal
