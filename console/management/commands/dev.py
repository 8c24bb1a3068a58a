import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

_LOOK_EVERY = 0.5
_FOLDERS = ("brokers", "console", "mcpserver")


class Command(BaseCommand):
    help = "Run the instance as run does, and start it again whenever Python changes. For who changes the code."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Said outright: a process that a script starts in the background begins with SIGINT ignored.
            signal.signal(number, signal.default_int_handler)
        try:
            while True:
                seen = _state(settings.BASE_DIR)
                # A group of its own: Ctrl-C reaches this process alone, which stops the other in its own way.
                running = subprocess.Popen(  # noqa: S603  our own command, no shell
                    [sys.executable, str(settings.BASE_DIR / "manage.py"), "run"],
                    cwd=settings.BASE_DIR,
                    env={**os.environ, "TRADELATCH_DEVELOPMENT": "1"},
                    start_new_session=True,
                )
                try:
                    self._watch(running, seen)
                finally:
                    _stop(running)
                self._say("Python changed; starting again.")
        except KeyboardInterrupt:
            return

    def _watch(self, running: "subprocess.Popen[bytes]", seen: dict[Path, int]) -> None:
        """Return when a file changed. An instance that ended by itself, as of an error, waits for a change too."""
        ended = False
        while _state(settings.BASE_DIR) == seen:
            if not ended and running.poll() is not None:
                ended = True
                self._say("The instance ended; it starts again when a file changes. Ctrl-C ends this.")
            time.sleep(_LOOK_EVERY)

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _state(folder: Path) -> dict[Path, int]:
    """When each file of Python was last written."""
    found = {}
    for name in _FOLDERS:
        for path in (folder / name).rglob("*.py"):
            try:
                found[path] = path.stat().st_mtime_ns
            except FileNotFoundError:  # an editor is replacing it
                continue
    return found


def _stop(running: "subprocess.Popen[bytes]") -> None:
    if running.poll() is None:
        running.send_signal(signal.SIGINT)
        running.wait()
