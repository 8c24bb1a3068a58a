"""The run's own home, no network, three people, a paper connection and its keys.

The environment is set while this file is imported, before anything can load the settings.
"""

import atexit
import gc
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

gc.disable()  # until the tests begin: what is imported and collected stays, and is gone through again and again
_HOME = tempfile.mkdtemp(prefix="tradelatch-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("TRADELATCH_") or name == "PORT"]:
    del os.environ[_name]
os.environ["TRADELATCH_HOME"] = _HOME
os.environ["TRADELATCH_PUBLIC_URL"] = "http://localhost:8000"  # whatever names this computer knows
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
# A computer that keeps no compiled Python would compile all of it again for each of the hundred processes of a run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from tests import databases  # noqa: E402  after the environment

databases.use()

import django  # noqa: E402

django.setup()

import httpcore2  # noqa: E402
import hypothesis  # noqa: E402
import pytest  # noqa: E402
from django.conf import settings  # noqa: E402
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]  # noqa: E402

from console import scopes, toolsets  # noqa: E402
from console.accounts.models import User  # noqa: E402
from console.audit.seals import triggers  # noqa: E402
from console.connections.models import Connection  # noqa: E402
from console.keys import minting  # noqa: E402
from console.onboarding import connection_lifecycle  # noqa: E402
from console.operations import heartbeat  # noqa: E402
from mcpserver import console_catalog, worker_pool  # noqa: E402
from tests import prepared, serving  # noqa: E402
from tests.patience import at_most  # noqa: E402
from tests.secrets import plugin as secrets_plugin  # noqa: E402
from tests.secrets.known import keep  # noqa: E402

_install_triggers = triggers.install
PASSWORD = keep("password", "correct horse battery")

hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    prepared.share()
    # A real password hash takes a third of a second, by design; the servers the tests start still use it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # What the web server does when it starts to serve /mcp.
    toolsets.provide(console_catalog.tools)
    triggers.install = lambda: None
    # A thread that keeps its connection for a moment would give it back after its test, which is not allowed one.
    worker_pool._KEPT_SECONDS = 0.0
    _close_the_network()
    _list_static_files_once()
    # Each client would read the system's two hundred authorities, a fiftieth of a second, and never ask one of them.
    httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
    watch = secrets_plugin.Plugin(Path(_HOME))
    watch.install()
    config.pluginmanager.register(watch, "watch-for-secrets")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``make quick`` leaves out what starts a server of its own or a browser. What a test may take scales too.

    Long files come first: one that begins last leaves the other processes of a run without work.
    """
    usual = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(at_most(own.args[0] if own else usual)), append=False)
        if isinstance(item, pytest.Function):
            starts = {"server", "instance", "live_server", "chromium"} & set(item.fixturenames)
            if starts or any(hasattr(item.module, name) for name in ("serving", "serve")):
                item.add_marker("server")
    # pytest-django has put those first that share a database; those marked leave it alone.
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(tryfirst=True)  # a process of xdist has a loop of its own, after which no other is asked
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.set_threshold(20_000, *gc.get_threshold()[1:])
    gc.enable()


def _close_the_network() -> None:
    """Connections to this computer only, for this process. Nothing looks up a name either."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(host: object) -> NoReturn:
        raise PermissionError(f"A test tried to reach {host!r}: tests stay on this computer.")

    def check(host: object) -> None:
        if host in (None, "", b"", "localhost", "testserver", "0.0.0.0", "::"):  # noqa: S104  compared, not bound
            return
        try:
            here = ipaddress.ip_address(str(host)).is_loopback
        except ValueError:
            here = False
        if not here:
            refuse(host)

    def guarded(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return original(self, address)

        return call

    def looked_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, *args, **kwargs)

    socket.socket.connect = guarded(connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded(connect_ex)  # type: ignore[method-assign]
    socket.getaddrinfo = looked_up


def _list_static_files_once() -> None:
    """Each browser of Django's test client has middleware of its own, whose WhiteNoise would read every file again."""
    read = WhiteNoiseMiddleware.add_files
    found: dict[str, Any] = {}

    def add_files(self: Any, root: Any, prefix: Any = None) -> None:
        if not found:
            read(self, root, prefix)
            found.update(self.files)
        self.files.update(found)

    WhiteNoiseMiddleware.add_files = add_files


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A file, as in production: with threads, SQLite's shared memory database locks whole tables."""
    if databases.chosen():
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = settings.DATABASES["default"]["NAME"]
        return
    file = Path(_HOME) / "test.sqlite3"
    shutil.copy(prepared.database(), file)
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(file)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Begin with the copy, and leave it for the end of the home."""
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests empty tables and put rows into the past: those of the triggers themselves ask for ``guarded``."""
    with django_db_blocker.unblock():
        triggers.remove()


@pytest.fixture
def guarded(db: None) -> Iterator[None]:
    """The database refuses to change the record, as it does outside tests."""
    _install_triggers()
    yield
    triggers.remove()


@pytest.fixture
def owner(db: None) -> User:
    """Of an instance whose worker is at work."""
    heartbeat.record("worker@tests")
    return User.objects.create_user("olivia@example.com", PASSWORD)


@pytest.fixture
def other(db: None) -> User:
    return User.objects.create_user("oscar@example.com", PASSWORD)


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_user("opal@example.com", PASSWORD, is_operator=True)


@pytest.fixture
def paper(owner: User) -> Connection:
    connection, _ = connection_lifecycle.open_paper(owner, name="Practice", starting_cash=Decimal(100_000))
    return connection


@pytest.fixture
def trade_key(owner: User, paper: Connection) -> str:
    return _key(owner, paper, "mcp:trade")


@pytest.fixture
def read_key(owner: User, paper: Connection) -> str:
    return _key(owner, paper, "mcp:read")


def _key(owner: User, connection: Connection, scope: str) -> str:
    _, secret = minting.mint(owner, connection, scopes.parse(scope), name=f"Test key {scope}")
    return secret


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[serving.Server]:
    """The whole web server, for one file of tests: its own home, its own data, generous call limits.

    A file's ``SERVER_VARIABLES`` are its environment.
    """
    variables = getattr(request.module, "SERVER_VARIABLES", {})
    with serving.serve(tmp_path_factory.mktemp("server") / "home", **variables) as started:
        yield started


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    """What ``make run`` starts: the web server with its worker and scheduler."""
    with serving.serve(tmp_path_factory.mktemp("instance") / "home", supervised=True) as started:
        yield started


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    """The same for all files of tests that only read: nothing on it may be different for who comes next."""
    with serving.serve(tmp_path_factory.mktemp("shared") / "home") as started:
        yield started
