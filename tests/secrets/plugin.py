"""The watch in a test run: what it hears, what it notes, and when it looks."""

import logging
import re
import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.core import mail
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import Resolver404, resolve

from console.accounts import password_links, seal
from console.audit import group_commit
from console.clients import registration
from console.connections import vault
from console.keys import minting
from console.oauth import token_format, toolkit
from console.platforms import credentials
from console.platforms import tokens as platform_tokens
from console.signals import senders
from mcpserver import pipeline
from tests.secrets import watch as watching
from tests.secrets.known import KNOWN
from tests.secrets.watch import Ear, Leak, Watch

_TABLE = re.compile(r'(?:INSERT|UPDATE|REPLACE)\b[^"]*"(\w+)"', re.IGNORECASE)
# Of what is sealed for a broker: where it is and whose it is, which is no secret.
_NO_SECRETS = frozenset({"account", "base_url", "client_id", "consumer_key", "environment", "host", "port", "realm"})


class Plugin:
    def __init__(self, home: Path) -> None:
        self.watch = Watch()
        self._home = home
        self._in_files: list[str] = []

    # -- what is said ----------------------------------------------------------------------------------------------

    def install(self) -> None:
        self._hear_logs()
        self._hear_pages()
        self._hear_answers()
        self._hear_rows()
        self._note_what_is_made()

    def _hear_logs(self) -> None:
        """Not as a handler of the root: what sets up logging takes those away."""
        ear = Ear(self.watch)
        pass_on: Callable[..., None] = logging.Logger.callHandlers

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            if _is_written(logger):
                ear.handle(record)
            pass_on(logger, record)

        _put(logging.Logger, "callHandlers", call_handlers)

    def _hear_pages(self) -> None:
        send: Callable[..., Any] = Client.request

        def request(client: Client, **request: Any) -> Any:
            response = send(client, **request)
            if response.streaming:
                response.streaming_content = [b"".join(response.streaming_content)]
                body = response.getvalue()
                response.streaming_content = [body]
            else:
                body = response.content
            route = "nowhere"
            with suppress(Resolver404):
                route = response.resolver_match.route
            where = f"{request.get('REQUEST_METHOD', 'GET')} /{route}"
            self.watch.hear(where, body.decode("utf-8", "replace"))
            return response

        _put(Client, "request", request)

    def _hear_answers(self) -> None:
        _after(
            pipeline.CallAttempt,
            "answer",
            lambda made: self.watch.hear("the answer of an MCP tool", repr(made.content)),
        )
        send, asend = httpx2.Client.send, httpx2.AsyncClient.send

        def sent(client: Any, request: Any, **named: Any) -> Any:
            response = send(client, request, **named)
            if not named.get("stream"):
                self._hear_server(request, response)
            return response

        async def asent(client: Any, request: Any, **named: Any) -> Any:
            response = await asend(client, request, **named)
            if not named.get("stream"):
                self._hear_server(request, response)
            return response

        _put(httpx2.Client, "send", sent)
        _put(httpx2.AsyncClient, "send", asent)

    def _hear_server(self, request: Any, response: Any) -> None:
        if request.url.port in watching.OUR_PORTS:
            route = request.url.path.lstrip("/")
            with suppress(Resolver404):
                route = resolve(request.url.path).route
            self.watch.hear(f"{request.method} /{route}", response.text)

    def _hear_rows(self) -> None:
        def heard(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            if params and (told := _TABLE.match(sql)):
                texts = [each for each in _flat(params) if isinstance(each, str | bytes) and len(each) >= 8]
                if texts:
                    said = "\0".join(each if isinstance(each, str) else each.decode("latin-1") for each in texts)
                    self.watch.hear(f"the table {told[1]}", said)
            return execute(sql, params, many, context)

        def opened(connection: Any, **_: Any) -> None:
            if heard not in connection.execute_wrappers:
                connection.execute_wrappers.append(heard)

        # Rows of the journal go past Django's cursors.
        _before(group_commit.Insert, "run", lambda _, rows: self.watch.hear("the table audit_call", repr(rows)))
        connection_created.connect(opened, weak=False)
        for connection in connections.all(initialized_only=True):
            opened(connection)

    # -- what is secret --------------------------------------------------------------------------------------------

    def _note_what_is_made(self) -> None:
        note = KNOWN.note
        for kept in (settings.SECRET_KEY, settings.PUSH_KEY, *settings.SEED_KEYS, *settings.CREDENTIAL_KEYS):
            note(watching.INSTANCE, kept, for_the_run=True)
        _after(minting, "generate", lambda made: note(watching.API_KEY, made.raw))
        _after(senders, "new_part", lambda made: note(watching.SIGNAL, made))
        _after(token_format, "_random", lambda made: note(watching.TOKEN, made))
        _after(toolkit, "generate_token", lambda made: note(watching.TOKEN, str(made)))
        _after(credentials, "new_secret", lambda made: note(watching.PLATFORM, made[0]))
        _after(platform_tokens, "mint", lambda made: note(watching.PLATFORM, made.raw))
        _after(password_links, "make", lambda made: note(watching.LINK, made.rstrip("/").rpartition("/")[2]))
        _after(SessionBase, "_get_new_session_key", lambda made: note(watching.SESSION, made))
        _after(
            import_module("allauth.mfa.totp.internal.auth"),
            "generate_totp_secret",
            lambda made: note(watching.SEED, made),
        )
        _after(RecoveryCodes, "generate_codes", lambda made: [note(watching.CODE, each) for each in made])
        _put(registration, "secrets", _Noting(watching.CLIENT))
        _before(AbstractBaseUser, "set_password", lambda _, raw: note(watching.PASSWORD, raw or ""))
        _before(seal, "seal", lambda text: note(watching.SEED, text))
        _before(vault, "seal", lambda _, __, told: [
            note(watching.BROKER, value) for name, value in told.items() if name not in _NO_SECRETS
        ])  # fmt: skip

    # -- when it looks ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
        if nextitem is None:
            # Before the test database is thrown away.
            self._in_files += map(str, watching.leaks_of_files(self._home))
        yield
        self.hear_mails()
        leaks = self.watch.look()
        if nextitem is None or nextitem.path != item.path:
            KNOWN.recent.clear()
        if leaks:
            pytest.fail("\n".join(dict.fromkeys(map(str, leaks))), pytrace=False)

    def hear_mails(self) -> None:
        for letter in getattr(mail, "outbox", []):
            alternatives = [str(each[0]) for each in getattr(letter, "alternatives", [])]
            self.watch.hear("a mail", "\n".join([letter.subject, str(letter.body), *alternatives]))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        told = getattr(session.config, "workeroutput", None)
        if told is not None:
            told["leaks"] = self._in_files
        elif self._in_files:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._in_files += getattr(node, "workeroutput", {}).get("leaks", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in dict.fromkeys(self._in_files):
            terminalreporter.write_line(line, red=True)


class _Noting:
    """The module ``secrets``, with an ear on what it makes."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(secrets, name)

    def token_urlsafe(self, nbytes: int) -> str:
        made = secrets.token_urlsafe(nbytes)
        KNOWN.note(self._kind, made)
        return made


def _flat(params: Any) -> Iterable[Any]:
    values = params.values() if isinstance(params, dict) else params
    for each in values:
        if isinstance(each, list | tuple | dict):
            yield from _flat(each)
        else:
            yield each


def _is_written(logger: logging.Logger | None) -> bool:
    """Whether the records of a logger come to anything that writes: one of ours is silenced on purpose."""
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _put(owner: Any, name: str, value: object) -> None:
    setattr(owner, name, value)


def _after(owner: Any, name: str, note: Callable[[Any], object]) -> None:
    original = getattr(owner, name)

    def made(*args: Any, **named: Any) -> Any:
        found = original(*args, **named)
        note(found)
        return found

    setattr(owner, name, made)


def _before(owner: Any, name: str, note: Callable[..., object]) -> None:
    original = getattr(owner, name)

    def given(*args: Any, **named: Any) -> Any:
        note(*args)
        return original(*args, **named)

    setattr(owner, name, given)


__all__ = ["Leak", "Plugin"]
