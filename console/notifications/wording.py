"""Words of others in a message: bounded, visible, and nothing in them turns into a link or a line of ours."""

import re

from console.untrusted_text import escape_hidden, truncate

LONGEST_TITLE, LONGEST_TEXT = 200, 1000
_NO_WORD = re.compile(r"[^\w ()'&+\\-]+")
# What a program takes for an address: a scheme, a mail address, a dot between a letter or digit and a letter.
_ADDRESS = re.compile(r":/+|@|(?<=\w)\.(?=[^\W\d])")


def name(text: str, longest: int = 60) -> str:
    """What an app or a person is called, by themselves."""
    return truncate(" ".join(_NO_WORD.sub(" ", escape_hidden(text[:400])).split()), longest)


def sentence(text: str, longest: int = 300) -> str:
    """What a broker or an app said, on one line."""
    return truncate(" ".join(_ADDRESS.sub(" ", escape_hidden(text[:1000])).split()), longest)


def money_label(*, is_live: bool) -> str:
    return "LIVE" if is_live else "Paper"


def money_words(*, is_live: bool) -> str:
    return "real money" if is_live else "paper, simulated money"
