"""How hosts that show a model only the names of tools at first let it search for the rest.

Codex (codex-rs 0.169): BM25 with k1 = 1.2 and b = 0.75 over one text a tool: its name with and without the server's,
the description, the server's instructions, and the names of its arguments. English stop words are left out and words
are stemmed; a name with underscores is one word (Unicode word boundaries).

Claude Code (2.1): every word of the query scores at each tool: 12 where it is a part of the name, 6 where it is inside
one, 2 where the description has it as a whole word. Nothing is stemmed or left out.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Tool = Mapping[str, Any]
SERVER = "tradelatch"

_STOP_WORDS = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does for from had has have how i if in into is
    it its just me more most my no not now of on only or other our out over should so some such than that the their them
    then there these they this to up was we were what when where which who why will with would you your
    """.split()  # noqa: SIM905  a list of words is read as words
)


def codex(query: str, tools: Sequence[Tool], instructions: str) -> list[str]:
    """Names of the tools that match, best first."""
    texts = [_stems(_codex_text(tool, instructions)) for tool in tools]
    usual = sum(map(len, texts)) / len(texts)
    having = Counter(word for text in texts for word in set(text))
    scores = {}
    for tool, text in zip(tools, texts, strict=True):
        count = Counter(text)
        scores[tool["name"]] = sum(
            math.log(1 + (len(texts) - having[word] + 0.5) / (having[word] + 0.5))
            * (count[word] * 2.2)
            / (count[word] + 1.2 * (0.25 + 0.75 * len(text) / usual))
            for word in _stems(query)
        )
    return _best_first(scores)


def claude_code(query: str, tools: Sequence[Tool]) -> list[str]:
    """Names of the tools that match, best first."""
    scores = {}
    for tool in tools:
        parts, about = tool["name"].split("_"), tool["description"].lower()
        score = 0
        for word in query.lower().split():
            if word in parts:
                score += 12
            elif any(word in part for part in parts):
                score += 6
            if re.search(rf"\b{re.escape(word)}\b", about):
                score += 2
        scores[tool["name"]] = score
    return _best_first(scores)


def _codex_text(tool: Tool, instructions: str) -> str:
    arguments = sorted(tool["inputSchema"]["properties"])
    name = tool["name"]
    return " ".join([f"mcp__{SERVER}__{name}", name, name, SERVER, tool["description"], instructions, *arguments])


def _stems(text: str) -> list[str]:
    words = re.findall(r"[a-z0-9_]+", text.lower())
    return [_stem(word) for word in words if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    """What Snowball's English stemmer makes of everyday words, near enough: its steps for -s, -ed, -ing, -e and -y."""
    if word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "i"
    elif word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and re.search(r"[aeiouy]", stem):
            word = stem[:-1] if re.search(r"([bdfgmnprt])\1$", stem) else stem
            break
    if word.endswith("y") and len(word) > 2 and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _best_first(scores: Mapping[str, float]) -> list[str]:
    found = [name for name, score in scores.items() if score > 0]
    return sorted(found, key=lambda name: -scores[name])
