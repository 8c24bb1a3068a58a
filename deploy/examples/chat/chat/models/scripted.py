"""A model that follows a script instead of thinking, to try the page without a key of anybody's."""

import re
from collections.abc import AsyncIterator, Sequence
from itertools import count

from chat.messages import Message, Tool, ToolAnswered, ToolUse, UserSaid

_ORDER = re.compile(r"\b(buy|sell)\s+([0-9]+(?:\.[0-9]+)?)\s+([A-Za-z][\w./-]*)", re.IGNORECASE)
_PRICE = re.compile(r"\b(?:price|quote)\s+(?:of|for)?\s*([A-Za-z][\w./-]*)", re.IGNORECASE)
_ACCOUNT = re.compile(r"\b(account|portfolio|positions|cash)\b", re.IGNORECASE)
HELP = "I follow a script. Try: price of AAPL, buy 2 AAPL, or my portfolio."


class Scripted:
    def __init__(self) -> None:
        self._numbers = count(1)

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[str | ToolUse]:
        last = messages[-1]
        if isinstance(last, ToolAnswered):
            yield "That did not work." if last.is_error else _said_of(last.text)
        elif isinstance(last, UserSaid):
            name, arguments = _wanted(last.text)
            if name:
                yield "Let me look. " if name != "place_order" else "I prepare that for you. "
                yield ToolUse(f"use_{next(self._numbers)}", name, arguments)
            else:
                yield HELP


def _wanted(text: str) -> tuple[str, dict[str, object]]:
    if order := _ORDER.search(text):
        side, quantity, symbol = order.groups()
        return "place_order", {"side": side.upper(), "quantity": quantity, "symbol": symbol.upper()}
    if price := _PRICE.search(text):
        return "get_quote", {"symbols": [price[1].upper()]}
    if _ACCOUNT.search(text):
        return "get_portfolio", {}
    return "", {}


def _said_of(result: str) -> str:
    if "confirmation_id" in result or '"summary"' in result:
        return "Nothing was sent yet. Look at the card, and approve or reject it."
    return f"Here is what I found: {result[:400]}"
