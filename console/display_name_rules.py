"""Names that others give to their programs, and that people read where they decide: none may speak for us.

A name is refused where it holds, in whatever letters it is written, the name of this product, a word that says how far
a program is trusted, or a sign that stands for such a word.
"""

import re
import unicodedata
from functools import cache

from console.errors import Code, Refusal
from console.untrusted_text import check_text, escape_character

PRODUCT = "tradelatch"
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
_STANDING = (
    "accepted",
    "approved",
    "assured",
    "attested",
    "audited",
    "authentic",
    "authorised",
    "authorized",
    "certified",
    "confirmed",
    "endorsed",
    "genuine",
    "guaranteed",
    "identity",
    "legitimate",
    "official",
    "reviewed",
    "trusted",
    "validated",
    "verified",
    "verification",
    "vetted",
    "vouched",
)
_ANYWHERE = ("verified", "official", "certified", "approved", "authorised", "authorized", "endorsed")
"""Of these, the ones that no other word holds: they count in the midst of one too."""
# By their names in Unicode: ticks, what is drawn like one, and what browsers and shops show for safety.
_SEAL = re.compile(r"\b(CHECK|CHECK MARK|SQUARE ROOT|LOCK|SHIELD|ROSETTE|MEDAL|BALLOT BOX WITH BOLD CHECK)\b")
# Hosts such as Claude Code name the server they were set up for: as its own guide does, or one for each connection.
_SET_UP_FOR = re.compile(rf"\s\({PRODUCT}([-_](paper|live|demo|test|dev|local|[0-9]{{1,2}}))?\)$", re.IGNORECASE)
_SMALL_CAPITAL = re.compile(r"LATIN LETTER SMALL CAPITAL ([A-Z])")

_LOOK_ALIKE = {
    letter: latin
    for latin, letters in {
        "a": "\u0430\u03b1\u0251\u13aa\ua4ee\u2c80\u2c814",
        "b": "\u0432\u0412\u03b2\u0392\u13f4\ua4d0\u2c83\u042c\u044c",
        "c": "\u0441\u03f2\u13df\ua4da\u2ca5",
        "d": "\u0501\u13a0\ua4d3\u0257",
        "e": "\u0435\u03b5\u0415\u0395\u13ac\ua4f0\u2c89\u0454\u04bd3",
        "f": "\u0493\u03dd\ua4dd\u0192",
        "g": "\u0261\u0581\u13c0\ua4d6\u050d",
        "h": "\u04bb\u043d\u041d\u0397\u03b7\u0570\u13bb\ua4e7\u2c8f",
        "k": "\u043a\u03ba\u13e6\ua4d7\u2c95",
        "l": "i1\u0131\u0456\u0406\u04cf\u04c0\u03b9\u0399\u13a5\u13de\ua4f2\ua4e1\u2c93\u01c0",
        "m": "\u043c\u039c\u13b7\ua4df\u2c99",
        "n": "\u0578\u057c\u039d\ua4e0\u0438",
        "o": "\u043e\u03bf\u0585\ua4f3\u2c9f0",
        "p": "\u0440\u03c1\u13e2\ua4d1\u2ca3",
        "q": "\u051b\u0566",
        "r": "\u0433\u13a1\u13d2\ua4e3\u2c85",
        "s": "\u0455\u0405\u13da\ua4e25",
        "t": "\u0442\u03c4\u13a2\ua4d4\u2ca77",
        "u": "\u03c5\u057d\ua4f4",
        "v": "\u0475\u03bd\u13d9\ua4e6",
        "w": "\u0461\u051d\u13b3\ua4ea",
        "x": "\u0445\u03c7\ua4eb\u2cad",
        "y": "\u0443\u04af\u03b3\u13a9\ua4ec",
        "z": "\u13c3\ua4dc",
    }.items()
    for letter in letters
}
_SIGNS = {"@": "a", "|": "l", "!": "l", "$": "s", "+": "t"}
"""They stand for a letter within a word, and between words for themselves: a name is read both ways."""


def clean_display_name(name: str, *, field: str = "name", longest: int = 100) -> str:
    """The name with single blanks, in compatible letters (NFKC). Raises Refusal for one that hides or speaks for us.

    Empty where nothing was given. A longer one is cut.
    """
    name = unicodedata.normalize("NFKC", name)
    shown = " ".join(check_text(name, field=field).split())[:longest].strip()
    if any(len(_alphabets(word)) > 1 for word in shown.split()):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "The name mixes letters from several alphabets in one word. Use one alphabet.",
            field=field,
        )
    if found := _claim_in(shown):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"The name contains {found}, which could be mistaken for a statement by this server. Use only the "
            "program's own name. Nothing was saved.",
            field=field,
        )
    return shown


def _alphabets(word: str) -> set[str]:
    """Those in a word whose letters look like each other's (UTS 39)."""
    names = (unicodedata.name(char, "").split(" ")[0] for char in word if char.isalpha())
    return {name for name in names if name in _ALPHABETS}


def _claim_in(name: str) -> str:
    """What speaks for us in it; empty for a name that does not."""
    for char in name:
        if _SEAL.search(unicodedata.name(char, "")):
            return f"the character {char} ({escape_character(char)})"
    own = _SET_UP_FOR.sub("", name)
    for read in (own, "".join(_SIGNS.get(char, char) for char in own)):
        words = _latin_words(read)
        if _latin(PRODUCT) in "".join(words):
            return f'"{PRODUCT.title()}"'
        words += _spelled_out(words)
        for standing in _STANDING:
            if _latin(standing) in words:
                return f'"{standing}"'
        for standing in _ANYWHERE:
            if any(_latin(standing) in word for word in words):
                return f'"{standing}"'
    return ""


def _latin_words(name: str) -> list[str]:
    split = re.split(r"[\W_]+", "".join(_latin_letter(char) for char in name))
    return [word for word in split if word]


def _latin_letter(char: str) -> str:
    """The Latin letter that it is, or looks like, in lower case: capitals can look like another letter's."""
    if char in _LOOK_ALIKE:
        return _LOOK_ALIKE[char]
    if small := _SMALL_CAPITAL.match(unicodedata.name(char, "")):
        char = small[1]
    base = "".join(each for each in unicodedata.normalize("NFKD", char) if not unicodedata.combining(each))
    return "".join(_LOOK_ALIKE.get(each, each) for each in base.casefold())


@cache
def _latin(word: str) -> str:
    """Of a word that is always the same: a name is compared with each of them."""
    return "".join(_latin_letter(char) for char in word)


def _spelled_out(words: list[str]) -> list[str]:
    """Letters with blanks or points between them, put together: v e r i f i e d."""
    runs = re.findall(r"(?:\b\w\b ?){3,}", " ".join(words))
    return [run.replace(" ", "") for run in runs]
