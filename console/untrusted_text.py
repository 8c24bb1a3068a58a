"""Text that others chose, as it is: what cannot be seen in it is written out where it is shown, and refused in names.

Hidden are control and format characters, line and paragraph separators, private and broken code points, and what is
drawn as nothing though Unicode calls it a letter, a mark or a symbol. Not hidden: what a script or an emoji needs, in
the place where it needs it (RFC 5892, appendix A; Unicode Technical Standard 51).
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from logging import Formatter, LogRecord
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from console.errors import Code, Refusal

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Drawn as nothing, or as a blank, though no category says so.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159\U00016fe4")
# Format characters that are drawn: signs of Arabic, Syriac and Kaithi that stand over the number they announce.
_DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_LINES = "\n\t"
_VIRAMA = 9
# Region flags of UTS 51: a black flag and its letters in tags. No others are meant for general use.
_FLAGS = tuple(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
_KEYCAP = re.compile(r"[0-9#*]\ufe0f\u20e3")
_SIGNS = frozenset("\u203c\u2049\u2139\u3030\u303d")
"""Emoji that are no symbols by category."""
_AROUND = 8


@lru_cache(maxsize=4096)
def _may_hide(char: str) -> bool:
    if char in _DRAWN or _is_newer_than_us(char):
        return False
    return unicodedata.category(char) in _HIDDEN or char in _BLANK or _is_selector(char)


def _is_newer_than_us(char: str) -> bool:
    """Emoji and ideographs are added each year, in blocks that are kept for them."""
    code = ord(char)
    return unicodedata.category(char) == "Cn" and (0x1F000 <= code < 0x1FB00 or 0x20000 <= code < 0x3FFFE)


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def find_hidden(text: str, *, lines: bool = False) -> list[int]:
    """Where a character cannot be seen. ``lines``: line ends and tabs do what they are for."""
    if text.isascii() and text.isprintable():
        return []
    suspects = {char for char in set(text) if _may_hide(char)}
    if lines:
        suspects.difference_update(_LINES)
    if not suspects:
        return []
    return [at for at, char in enumerate(text) if char in suspects and not _is_in_place(text, at, lines)]


def _is_in_place(text: str, at: int, lines: bool) -> bool:
    char = text[at]
    if lines and (char in _LINES or (char == "\r" and text[at + 1 : at + 2] == "\n")):
        return True
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before:
        return False
    if "\U000e0000" <= char <= "\U000e007f":
        start = text.rfind("\U0001f3f4", max(0, at - _AROUND), at)
        return start >= 0 and text.startswith(_FLAGS, start)
    if char in "\ufe0e\ufe0f":
        return _is_emoji(before) or _KEYCAP.match(text, at - 1) is not None
    if _is_selector(char):
        return unicodedata.name(before, "").startswith("CJK UNIFIED IDEOGRAPH")
    if char in (_NON_JOINER, _JOINER) and unicodedata.combining(before) == _VIRAMA:
        return True
    if char == _NON_JOINER:
        return bool(after) and unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    if char == _JOINER:
        return (_is_emoji(before) or before == "\ufe0f") and bool(after) and _is_emoji(after)
    return False


def _is_emoji(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Sm") or char in _SIGNS or "\U0001f000" <= char < "\U0001fb00"


def escape_hidden(text: str, *, lines: bool = False) -> str:
    r"""The text with every hidden character written out, such as ``\u202e``."""
    places = find_hidden(text, lines=lines)
    if not places:
        return text
    shown = list(text)
    for at in places:
        shown[at] = escape_character(text[at])
    return "".join(shown)


def escape_character(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_hidden_in(value: Any) -> Any:
    """A JSON value with every text and name in it visible; lines stay lines."""
    if isinstance(value, str):
        return escape_hidden(value, lines=True)
    if isinstance(value, Mapping):
        return {
            escape_hidden(key) if isinstance(key, str) else key: escape_hidden_in(each) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [escape_hidden_in(each) for each in value]
    return value


def truncate(text: str, longest: int) -> str:
    """At most so many characters, the last of them … where something was left out."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def check_text(text: str, *, field: str, what: str = "name", lines: bool = False, longest: int | None = None) -> str:
    """What a person or an app wrote, without blanks around it. ``lines``: a note may have several.

    Raises Refusal where a character cannot be seen, or where there is more than ``longest``.
    """
    text = text.strip(" \t\r\n")
    if places := find_hidden(text, lines=lines):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"The {what} contains an invisible character, {escape_character(text[places[0]])}, at position "
            f"{places[0] + 1}. Use only visible characters. Nothing was saved.",
            field=field,
        )
    text = text.strip()
    if longest is not None and len(text) > longest:
        raise Refusal(Code.INVALID_ARGUMENT, f"The {what} may have at most {longest} characters.", field=field)
    return text


class VisibleJSONEncoder(DjangoJSONEncoder):
    """JSON of our own with what others wrote in it."""

    def encode(self, o: Any) -> str:
        return super().encode(escape_hidden_in(o))


class OneLineFormatter(Formatter):
    """One line of the log for each record, whatever somebody's text holds; a traceback has its own."""

    def formatMessage(self, record: LogRecord) -> str:
        return escape_hidden(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return escape_hidden(super().formatException(ei), lines=True)
