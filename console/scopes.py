"""Scopes, and which kind of credential may hold which."""

from enum import StrEnum

from django.conf import settings

from console.elapsed import span_text


class Scope(StrEnum):
    READ = "mcp:read"
    TRADE = "mcp:trade"
    MANAGE = "manage"


class Source(StrEnum):
    """The kind of credential a call came with."""

    OAUTH = "oauth"
    API_KEY = "apikey"
    PLATFORM = "platform"
    MANAGEMENT = "management"
    SIGNAL = "signal"
    """A message to a signal address. It prepares orders and confirms none."""
    CONSOLE = "console"
    """No credential: the owner at the browser. Nothing that a call can carry ever stands for it."""


# What an app may hold, and what hosts are told of. Managing is not among them: no app can ask for it.
ALL: tuple[Scope, ...] = (Scope.READ, Scope.TRADE)

MAY_HOLD: dict[Source, frozenset[Scope]] = {
    Source.OAUTH: frozenset(ALL),
    Source.API_KEY: frozenset(ALL),
    Source.PLATFORM: frozenset(ALL),
    Source.MANAGEMENT: frozenset({Scope.MANAGE}),
    Source.SIGNAL: frozenset(ALL),
    Source.CONSOLE: frozenset(ALL),
}


def expand(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Trade implies read."""
    return scopes | {Scope.READ} if Scope.TRADE in scopes else scopes


def parse(text: str) -> frozenset[Scope]:
    """Space-separated scopes, unknown ones dropped (hosts ask for ``offline_access``, ``openid`` and more)."""
    known = {scope.value: scope for scope in ALL}
    return expand(frozenset(known[word] for word in text.split() if word in known))


def render(scopes: frozenset[Scope]) -> str:
    return " ".join(scope for scope in ALL if scope in scopes)


def describe(scope: Scope) -> str:
    """What a person reads on the consent page and in forms. A function: the settings take the scopes from here."""
    match scope:
        case Scope.READ:
            return "See accounts, positions, orders and prices."
        case Scope.TRADE:
            soon = span_text(settings.CONFIRMATION_SECONDS)
            return f"Prepare orders and cancel them. Each order still needs a confirmation within {soon}."
        case Scope.MANAGE:
            return (
                "Manage connections, keys and apps over the REST API. It has no access to broker accounts and "
                "cannot trade."
            )


def label(scopes: frozenset[Scope]) -> str:
    return "Read and trade" if Scope.TRADE in scopes else "Read only"
