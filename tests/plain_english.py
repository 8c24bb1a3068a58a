"""Stiff phrases that crept into pages, refusals and documents before, and what to write instead.

They are examples of a kind: private words for standard terms, and word order no native speaker would use. Add one when
a reader stumbles. ``docs/develop/glossary.md`` has the terms.
"""

import re

INSTEAD: dict[str, str] = {
    r"\banew\b": "again",
    r"\btak(e|es|ing|en) (it|them|that|access|an order|the app's access|its access) back\b": "revoke; cancel",
    r"\baccess was taken back\b": "access was revoked",
    r"\bnobody (knows|understands)\b": "unknown; could not be understood",
    r"\b(is|was|are|were) told\b": "gets; is notified",
    r"\btold (of|no)\b": "reported",
    r"\btells (no|its)\b": "does not report; reports",
    r"\bthe broker does not tell\b": "not reported by the broker",
    r"\b(an order|it) may stand\b": "may be open",
    r"\bnothing stands\b": "nothing was placed",
    r"\bas (things|it) stands?\b": "now",
    r"\bstands (there|yet|until then|without it)\b": "is open; is unprotected",
    r"\blive trading rests\b": "live trading is frozen",
    r"\blook and (decide|answer)\b": "review",
    r"\blook into your mail\b": "check your e-mail",
    r"\bthe most (it|one|all|an app) (can|may)\b": "maximum",
    r"\bmost it can come to\b": "maximum cost",
    r"\bgoes on (by itself|working)\b": "continues; keeps working",
    r"\bit is asked again by itself\b": "we retry automatically",
    r"\bappear(s)? here by themselves\b": "this list updates on its own",
    r"\bif it stays( so)?\b": "if this persists",
    r"\bhangs? on it\b": "attached",
    r"\bguards a position\b": "protects a position",
    r"\bwhoever (holds|learns|reaches) it\b": "anyone who has it",
    r"\breal money is behind it\b": "this involves real money",
    r"\btakes a passkey\b": "needs a passkey",
    r"\bmake an? (api |management )?key\b": "create a key",
    r"\btakes no (orders|\w+ orders)\b": "does not accept",
    r"\bno such place\b": "no longer exists",
    r"\bfor want of a (quote|rate|price)\b": "because there is no quote",
    r"\bwhen the price (reaches|turns back)\b": "stop; trailing stop",
    r"\bat once or not at all\b": "immediate or cancel; fill or kill",
    r"\buntil cancelled\b": "GTC",
    r"\bonly to make a position smaller\b": "reduce only",
    r"\bdeepest fall\b": "maximum drawdown",
    r"\banswers for it\b": "owner",
    r"\bknown there as\b": "reference",
    r"\bsay (yes|no) with\b": "confirm; decline",
}
_STIFF = {re.compile(phrase, re.IGNORECASE): instead for phrase, instead in INSTEAD.items()}


def stiff_phrases(text: str) -> list[str]:
    """Each one found, with some of its neighbourhood and what to write instead."""
    return [
        f"…{text[max(found.start() - 30, 0) : found.end() + 30]}… write: {instead}"
        for phrase, instead in _STIFF.items()
        for found in phrase.finditer(text)
    ]
