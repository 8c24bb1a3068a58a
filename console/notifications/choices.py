"""Who is told of what by which way."""

from collections.abc import Mapping

from django.conf import settings

from console.accounts.models import User
from console.notifications.models import NewsChoice, NewsKind, Way, WayKind

_SHORT_WAYS = frozenset({WayKind.PUSH, WayKind.TELEGRAM, WayKind.NTFY, WayKind.WEBHOOK})
_ALL = _SHORT_WAYS | {WayKind.EMAIL}
DEFAULTS: Mapping[NewsKind, frozenset[WayKind]] = {
    kind: _SHORT_WAYS if kind in (NewsKind.FILL, NewsKind.END, NewsKind.LIMIT) else _ALL for kind in NewsKind
}
ALWAYS_BY_EMAIL = frozenset({NewsKind.GRANT, NewsKind.SIGN_IN, NewsKind.WAY})
"""Whoever got into an account must not be able to keep its owner from hearing of it."""
CHOSEN = tuple(kind for kind in NewsKind if kind not in (NewsKind.WAY, NewsKind.TEST))
"""What the page lists."""


def kinds_there_are() -> list[WayKind]:
    """Those that this instance can use."""
    return [kind for kind in WayKind if kind is not WayKind.TELEGRAM or settings.TELEGRAM is not None]


def of(user: User) -> dict[NewsKind, frozenset[WayKind]]:
    """For every kind of news."""
    row = NewsChoice.objects.filter(user=user).first()
    chosen = row.chosen if row is not None else {}
    made = {}
    for kind in NewsKind:
        ways = DEFAULTS[kind] if kind not in chosen else frozenset(WayKind(each) for each in chosen[kind])
        made[kind] = ways | {WayKind.EMAIL} if kind in ALWAYS_BY_EMAIL else ways
    return made


def choose(user: User, chosen: Mapping[NewsKind, frozenset[WayKind]]) -> None:
    stored = {kind.value: sorted(way.value for way in ways) for kind, ways in chosen.items()}
    NewsChoice.objects.update_or_create(user=user, defaults={"chosen": stored})


def ways_of(user: User, kind: NewsKind) -> tuple[bool, list[Way]]:
    """Whether by e-mail, and by which of the person's other ways."""
    wanted = of(user)[kind]
    usable = [each for each in kinds_there_are() if each in wanted]
    return WayKind.EMAIL in wanted, list(Way.objects.filter(user=user, kind__in=usable))
