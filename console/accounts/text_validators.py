"""What every form asks of the words that a person types into it."""

from django.core.exceptions import ValidationError

from console import display_name_rules, untrusted_text
from console.errors import Refusal


def validate_line(value: str) -> None:
    """One line, of characters that can be seen. Raises ValidationError."""
    _check(value, lines=False)


def validate_lines(value: str) -> None:
    """The same of several lines."""
    _check(value, lines=True)


def validate_program_name(value: str) -> None:
    """A program's name, which people read where they decide. Raises ValidationError."""
    try:
        display_name_rules.clean_display_name(value)
    except Refusal as refusal:
        raise ValidationError(str(refusal), code="invalid") from refusal


def _check(value: str, *, lines: bool) -> None:
    try:
        untrusted_text.check_text(value, field="", what="text", lines=lines)
    except Refusal as refusal:
        raise ValidationError(str(refusal), code="invalid") from refusal
