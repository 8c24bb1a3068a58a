"""Who is told of what by which channel."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction

from console.accounts.models import User
from console.audit import log as audit_log
from console.notifications.models import ChannelKind, NewsChoice, NewsKind, NotificationChannel

_SHORT = frozenset({ChannelKind.PUSH, ChannelKind.TELEGRAM, ChannelKind.NTFY, ChannelKind.WEBHOOK})
_ALL = _SHORT | {ChannelKind.EMAIL}
DEFAULTS: Mapping[NewsKind, frozenset[ChannelKind]] = {
    kind: _SHORT if kind in (NewsKind.FILL, NewsKind.END, NewsKind.LIMIT) else _ALL for kind in NewsKind
}
ALWAYS_BY_EMAIL = frozenset({NewsKind.GRANT, NewsKind.SIGN_IN, NewsKind.CHANNEL})
"""Whoever got into an account must not be able to keep its owner from hearing of it."""
CHOSEN = tuple(kind for kind in NewsKind if kind not in (NewsKind.CHANNEL, NewsKind.TEST))
"""What the page lists."""


def kinds_there_are() -> list[ChannelKind]:
    """Those that this instance can use."""
    return [kind for kind in ChannelKind if kind is not ChannelKind.TELEGRAM or settings.TELEGRAM is not None]


def of(user: User) -> dict[NewsKind, frozenset[ChannelKind]]:
    """For every kind of news."""
    row = NewsChoice.objects.filter(user=user).first()
    chosen = row.chosen if row is not None else {}
    made = {}
    for kind in NewsKind:
        channels = DEFAULTS[kind] if kind not in chosen else frozenset(ChannelKind(each) for each in chosen[kind])
        made[kind] = channels | {ChannelKind.EMAIL} if kind in ALWAYS_BY_EMAIL else channels
    return made


@transaction.atomic
def choose(user: User, chosen: Mapping[NewsKind, frozenset[ChannelKind]]) -> None:
    had, stored = of(user), _stored(chosen)
    NewsChoice.objects.update_or_create(user=user, defaults={"chosen": stored})
    has = of(user)
    changed = [kind for kind in NewsKind if had[kind] != has[kind]]
    if changed:
        before, after = (_stored({kind: each[kind] for kind in changed}) for each in (had, has))
        audit_log.record_change(user, "notifications chosen", "user", user.pk, user.email, before=before, after=after)


def _stored(chosen: Mapping[NewsKind, frozenset[ChannelKind]]) -> dict[str, list[str]]:
    return {kind.value: sorted(channel.value for channel in channels) for kind, channels in chosen.items()}


def channels_of(user: User, kind: NewsKind) -> tuple[bool, list[NotificationChannel]]:
    """Whether by e-mail, and by which of the person's other channels."""
    wanted = of(user)[kind]
    usable = [each for each in kinds_there_are() if each in wanted]
    return ChannelKind.EMAIL in wanted, list(NotificationChannel.objects.filter(user=user, kind__in=usable))
