"""Scopes, and which kind of credential may hold which."""

from enum import StrEnum


class Scope(StrEnum):
    READ = "mcp:read"
    TRADE = "mcp:trade"


class Source(StrEnum):
    """The kind of credential a call came with."""

    OAUTH = "oauth"
    API_KEY = "apikey"


# What a person reads on the consent page and in lists.
WORDS = {
    Scope.READ: "See accounts, positions, orders and prices.",
    Scope.TRADE: "Prepare orders and cancel them. Each order still needs a confirmation within 2 minutes.",
}

ALL = (Scope.READ, Scope.TRADE)


def expand(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Trade implies read."""
    return scopes | {Scope.READ} if Scope.TRADE in scopes else scopes


def parse(text: str) -> frozenset[Scope]:
    """Space-separated scopes, unknown ones dropped (hosts ask for ``offline_access``, ``openid`` and more)."""
    known = {scope.value: scope for scope in ALL}
    return expand(frozenset(known[word] for word in text.split() if word in known))


def render(scopes: frozenset[Scope]) -> str:
    return " ".join(scope for scope in ALL if scope in scopes)


def label(scopes: frozenset[Scope]) -> str:
    return "Read and trade" if Scope.TRADE in scopes else "Read only"
