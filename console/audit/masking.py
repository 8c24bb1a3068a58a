"""Text of a caller, as it may be kept: without what looks like a secret, what is hidden written out, and cut."""

import re
from functools import lru_cache

from console.untrusted_text import escape_hidden, truncate

# A bearer, a key or a token that a caller put where it does not belong.
_SECRET = re.compile(
    r"tl_[a-z]+_[A-Za-z0-9]{8}_[A-Za-z0-9]+|tl[ars]_[A-Za-z0-9]{20,}|tl[cu]_secret_[A-Za-z0-9]+"
    r"|bearer\s+\S+|eyJ[\w-]+\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 7
_MASK = "[masked]"


def mask(text: str) -> str:
    """The text without anything that looks like one of our secrets or a bearer, with what is hidden written out."""
    if not text or (len(text) < _SHORTEST_SECRET and text.isascii() and text.isprintable()):
        return text
    return escape_hidden(_SECRET.sub(_MASK, text))


@lru_cache(maxsize=512)
def masked(name: str, longest: int) -> str:
    """Of a tool, an argument or a program: the same few come with every call. ``name`` is bounded."""
    return truncate(mask(name), longest)


_KEY = re.compile(r"(tl_[a-z]+_[A-Za-z0-9]{8})_[A-Za-z0-9]+", re.ASCII)
_OTHER = re.compile(r"tl[ars]_[A-Za-z0-9]{20,}|tl[cu]_secret_[A-Za-z0-9]+", re.ASCII)


def without_secrets(text: str) -> str:
    """Text that somebody looks for: of a key its beginning, which names it and opens nothing; of tokens nothing."""
    return _OTHER.sub("", _KEY.sub(r"\1", text))
