import errno
import gc
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from console import embedded_queue, processes
from console.config.instance_dir import OWN_NAME
from console.errors import Refusal
from console.onboarding import migrate, quickstart, sealing_keys, supervisor

_READY_SECONDS = 60.0


class Command(BaseCommand):
    help = "Prepare the instance and run it: a web server, and a worker with the schedule, until Ctrl-C."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        gc.freeze()
        gc.enable()
        host, port, home = settings.HOST, settings.PORT, settings.HOME
        _check_port(host, port)
        with _only_one(home):
            with migrate.startup_lock(home):
                migrate.migrate()
                sealing_keys.refuse_unfitting()
                try:
                    prepared = quickstart.prepare()
                except Refusal as refusal:
                    raise CommandError(str(refusal)) from refusal
            _forget_connections()
            embedded_queue.tidy(home / "queue")
            sys.exit(self._supervise(host, port, prepared))

    def _supervise(self, host: str, port: int, prepared: quickstart.QuickstartResult) -> int:
        children = processes.instance(host=host, port=port)
        named = settings.LOG_FORMAT == "json"
        with supervisor.Supervisor(children, folder=settings.BASE_DIR, say=self._say, is_named=named) as running:
            if not running.wait_until(lambda: supervisor.answers(host, port), seconds=_READY_SECONDS):
                if running.asked_to_stop:
                    return 0
                self._say("The web server did not start; its last lines are above.")
                return 1
            self._welcome(prepared)
            code = running.run()
            if running.asked_to_stop:
                self._say("Stopping.")
        return code

    def _welcome(self, prepared: quickstart.QuickstartResult) -> None:
        password = prepared.password or "the one you were shown; `make rotate` creates a new one"
        keys = "create them under API keys"
        if prepared.paper_key_trade and prepared.paper_key_read:
            keys = f"trades: {prepared.paper_key_trade}\n{'':<12} reads:  {prepared.paper_key_read}"
        self.stdout.write(
            "\nTradelatch is running. Ctrl-C stops it.\n\n"
            f"{'Console':<12} {prepared.console_url}\n"
            f"{'Sign in as':<12} {prepared.username}\n"
            f"{'Password':<12} {password}\n"
            f"{'MCP address':<12} {prepared.mcp_url}\n"
            f"{'API keys':<12} {keys}\n\n"
            f"{self._other_name()}"
            "Connect an assistant, for example Claude Code:\n\n"
            f"  claude mcp add --transport http tradelatch {prepared.mcp_url}\n"
        )
        self.stdout.flush()

    @staticmethod
    def _other_name() -> str:
        """For a host that does not know the name."""
        if urlsplit(settings.PUBLIC_URL).hostname != OWN_NAME:
            return ""
        return f"If a program cannot resolve {OWN_NAME}, use http://localhost:{settings.PORT}/mcp instead.\n\n"

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _forget_connections() -> None:
    """The processes that are made from this one open their own: nothing of a database may be shared between two."""
    connections.close_all()
    for each in connections.all(initialized_only=True):
        if close_pool := getattr(each, "close_pool", None):
            close_pool()


def _check_port(host: str, port: int) -> None:
    """Raises CommandError when the web server could not listen there."""
    deadline = time.monotonic() + 1.5  # an instance that was killed a moment ago is just letting go of it
    while True:
        error = _cannot_listen(host, port)
        if error is None:
            return
        if error.errno != errno.EADDRINUSE:
            raise CommandError(
                f"Cannot listen on {host} port {port}: {error.strerror}. Set TRADELATCH_HOST or PORT to something else."
            )
        if time.monotonic() > deadline:
            raise CommandError(
                f"Port {port} on {host} is in use: stop what is running there, or choose another port, such as "
                f"PORT={port + 1}."
            )
        time.sleep(0.2)


def _cannot_listen(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Two schedulers and two workers on one folder would take each other's work."""
    with ExitStack() as held:
        try:
            held.enter_context(migrate.instance_lock(home))
        except BlockingIOError as error:
            raise CommandError(
                f"Tradelatch is already running with {home}: stop it, or set TRADELATCH_HOME to another folder."
            ) from error
        yield
