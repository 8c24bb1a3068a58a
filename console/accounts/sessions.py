"""The browsers a person is signed in with. What is known of one lies in the session itself."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from console.accounts.models import User
from console.accounts.session_store import digest

_KEY = "signed_in"


@dataclass(frozen=True, slots=True)
class Browser:
    current: bool
    signed_in_at: datetime | None
    ip: str
    program: str


def record_browser(request: HttpRequest) -> None:
    """Remember where this sign-in came from."""
    request.session[_KEY] = {
        "at": time.time(),
        "ip": request.META.get("REMOTE_ADDR", ""),
        "agent": request.headers.get("User-Agent", "")[:300],
    }


def browsers(user: User, request: HttpRequest) -> list[Browser]:
    """This one first, then the latest."""
    found = []
    for session in _sessions_of(user):
        known = session.get_decoded().get(_KEY, {})
        at = datetime.fromtimestamp(known["at"], UTC) if known else None
        current = session.session_key == _stored(request.session.session_key)
        found.append(Browser(current, at, known.get("ip", ""), browser_name(known.get("agent", ""))))
    return sorted(
        found, key=lambda one: (one.current, one.signed_in_at or datetime.min.replace(tzinfo=UTC)), reverse=True
    )


def end_sessions(user: User, *, but: str | None = None) -> int:
    """Sign the person out everywhere, ``but`` for the session with that key. Returns how many ended."""
    ended = [session.session_key for session in _sessions_of(user) if session.session_key != _stored(but)]
    Session.objects.filter(session_key__in=ended).delete()
    return len(ended)


def _stored(session_key: str | None) -> str | None:
    """Under what a session is in the database."""
    return None if session_key is None else digest(session_key)


def browser_name(agent: str) -> str:
    """A browser's name as a person knows it, from what it says of itself."""
    names = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("Linux", "Linux"),
    )
    name = next((name for sign, name in names if sign in agent), "")
    system = next((system for sign, system in systems if sign in agent), "")
    return " on ".join(part for part in (name, system) if part) or "Unknown browser"


def _sessions_of(user: User) -> Iterator[Session]:
    # Sessions name their user only inside: every one is looked into, which at this size takes milliseconds.
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            yield session
