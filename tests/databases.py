"""``make test-postgresql``: the tests on PostgreSQL and Redis instead of a file and memory.

With ``T_DATABASE=postgresql`` the first process of a run starts both servers, and each process of xdist has a database
of its own, copied from one that has its tables, and a number of Redis of its own. What tests start as a server of its
own keeps the kind of database that its file asks for.
"""

import atexit
import contextlib
import os

import psycopg

from tests import prepared, redis

_PREFIX = "T_SERVERS"
_TEMPLATE = "migrated"
_CONNECTIONS = 400


def chosen() -> bool:
    return os.environ.get("T_DATABASE") == "postgresql"


def use() -> None:
    """Called before the settings are read: sets what they read."""
    if not chosen():
        return
    if f"{_PREFIX}_DATABASE" not in os.environ:
        _start()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0" if "PYTEST_XDIST_TESTRUNUID" in os.environ else "alone")
    name = f"t_{worker}"
    url = os.environ[f"{_PREFIX}_DATABASE"]
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    number = int(worker.removeprefix("gw")) + 1 if worker.startswith("gw") else 0
    os.environ["TRADELATCH_DATABASE_URL"] = url.replace("/postgres?", f"/{name}?")
    os.environ["TRADELATCH_REDIS_URL"] = f"{os.environ[f'{_PREFIX}_REDIS']}/{number}"


def _start() -> None:
    servers = contextlib.ExitStack()
    atexit.register(servers.close)
    prepared.share()
    database = servers.enter_context(prepared.postgres_server())
    # Nothing here has to outlive a power cut.
    database.set(max_connections=_CONNECTIONS, fsync="off", synchronous_commit="off", full_page_writes="off")
    database.restart("fast")
    template = database.url.replace("/postgres?", "/template1?")
    with psycopg.connect(template, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE postgres")
    os.environ[f"{_PREFIX}_DATABASE"] = database.url
    os.environ[f"{_PREFIX}_REDIS"] = servers.enter_context(redis.running()).url.removesuffix("/0")
