"""What the suite says, looked through for every credential it uses: logs, rows, pages, answers, mails and files.

One place may show a credential: the answer that makes it, listed in ``SHOWN_ONCE`` by its address and kind.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.secrets.known import KNOWN, LOOKS, Known, masked

API_KEY, TOKEN, CLIENT, PLATFORM, SEED, CODE, LINK = (
    *("API key", "OAuth token", "OAuth client credential", "platform credential"),
    *("authenticator seed", "recovery code", "link to set a password"),
)
PASSWORD, SESSION, BROKER, INSTANCE = "password", "session key", "broker credential", "key of the instance"
CHANNEL, SIGNAL = "secret of a channel", "address or secret of signals"

SHOWN_ONCE: dict[str, frozenset[str]] = {
    "POST /keys/new/": frozenset({API_KEY}),
    "POST /keys/<str:public_id>/rotate/": frozenset({API_KEY}),
    "POST /keys/manage/new/": frozenset({API_KEY}),
    "POST /api/v1/keys": frozenset({API_KEY}),
    "POST /connections/add/": frozenset({API_KEY}),
    "POST /connections/add/<slug:slug>/": frozenset({API_KEY}),
    "POST /api/v1/connections": frozenset({API_KEY}),
    "POST /playground/start/": frozenset({API_KEY}),
    "POST /oauth/token": frozenset({TOKEN}),
    "POST /oauth/register": frozenset({CLIENT}),
    "POST /clients/new/": frozenset({CLIENT}),
    "POST /api/v1/clients": frozenset({CLIENT}),
    "POST /platforms/new/": frozenset({PLATFORM}),
    "POST /platforms/<str:client_id>/secret/": frozenset({PLATFORM}),
    "POST /api/v1/platform/users": frozenset({PLATFORM}),
    "POST /api/v1/platform/users/<str:user_id>/secret": frozenset({PLATFORM}),
    "POST /auth/tokens/user": frozenset({PLATFORM}),
    "GET /security/app/": frozenset({SEED}),
    "POST /security/app/": frozenset({SEED, CODE}),
    "POST /security/passkey/": frozenset({CODE}),
    "POST /security/codes/": frozenset({CODE}),
    "POST /people/invite/": frozenset({LINK}),
    "POST /people/<int:pk>/invite-again/": frozenset({LINK}),
    "POST /notifications/webhook/": frozenset({CHANNEL}),
    "POST /signals/new/": frozenset({SIGNAL, SEED}),  # one that signs is sealed like a seed
    "POST /notifications/telegram/": frozenset({CHANNEL}),
    "a mail": frozenset({LINK}),
}
"""Where a credential is handed over: method and route as Django resolved it → what the answer may show there."""


@dataclass(frozen=True, slots=True)
class Leak:
    where: str
    kind: str
    secret: str

    def __str__(self) -> str:
        return f"{self.where} says a {self.kind}: {masked(self.secret)}"


@dataclass(slots=True)
class Watch:
    known: Known = field(default_factory=lambda: KNOWN)
    said: dict[str, list[str]] = field(default_factory=dict)
    """Place → what was said there since the last look."""

    def hear(self, where: str, text: str) -> None:
        self.said.setdefault(where, []).append(text)

    def look(self) -> list[Leak]:
        """What was said that should not have been; forgets what it looked through."""
        said, self.said = self.said, {}
        found = []
        for where, texts in said.items():
            allowed = SHOWN_ONCE.get(where, frozenset())
            for secret, kind in self.known.found_in("\0".join(texts)).items():
                if kind not in allowed and not (allowed and kind == LOOKS):
                    found.append(Leak(where, kind, secret))
        return found


class Ear(logging.Handler):
    """Everything that is logged, as a line of the log would have it, with the arguments and the whole traceback."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.NOTSET)
        self._watch = watch
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.hear(f"the log of {record.name}", self.format(record))


def files_of(folder: Path) -> Iterator[Path]:
    """SQLite databases and what belongs to them."""
    for each in sorted(folder.rglob("*")):
        if ".sqlite3" in each.name and each.is_file():
            yield each


def leaks_of_files(folder: Path, known: Known = KNOWN) -> list[Leak]:
    """Of every credential there ever was, in the database files under ``folder``."""
    found = []
    for file in files_of(folder):
        content = file.read_bytes().decode("latin-1")
        for needle, kind in _in(content, known.ever).items():
            found.append(Leak(f"the file {file.name}", kind, needle))
        for secret, kind in Known().found_in(content).items():
            found.append(Leak(f"the file {file.name}", kind, secret))
    return found


OUR_PORTS: set[int] = set()
"""Where servers of ours answer that tests started."""


def check_server(home: Path, log: str, *, first_start: bool = False) -> None:
    """Once it has ended: its log and its database. Raises AssertionError with what they say.

    ``first_start``: on a new home ``manage.py run`` hands over its keys on the terminal, each of them once.
    """
    leaks = [
        Leak("the server's log", kind, secret)
        for secret, kind in KNOWN.found_in(log).items()
        if not (first_start and kind == LOOKS and log.count(secret) == 1)
    ]
    for file in files_of(home):
        said = KNOWN.found_in(file.read_bytes().decode("latin-1"))
        leaks += [Leak(f"the server's {file.name}", kind, secret) for secret, kind in said.items()]
    assert not leaks, "\n".join(map(str, leaks))


_WINDOW = 8


def _in(content: str, needles: dict[str, str]) -> dict[str, str]:
    """Those that are in it, however many there are: one pass, by their first characters."""
    begins: dict[str, list[str]] = {}
    for needle in needles:
        begins.setdefault(needle[:_WINDOW], []).append(needle)
    found = {}
    for place in range(len(content) - _WINDOW + 1):
        for needle in begins.get(content[place : place + _WINDOW], ()):
            if content.startswith(needle, place):
                found[needle] = needles[needle]
    return found
