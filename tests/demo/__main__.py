"""``make demo``: build the data anew, start the instance, keep something waiting for approval, say how to get in."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

# The orders that a crash left in the middle stay there for a day: nobody carries them on before.
os.environ["TRADELATCH_SENDING_LEASE_SECONDS"] = str(86_400)
# Before the settings are read, which would make the folder.
HOME = Path(os.environ["TRADELATCH_HOME"]).absolute()
MARK = HOME / "demo"


def _clear() -> None:
    """Only a home that an earlier demo made is thrown away."""
    if HOME.exists() and any(HOME.iterdir()) and not MARK.exists():
        sys.exit(f"{HOME} is not a demo's home, so it is left alone. Set DEMO_HOME to another folder.")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True, mode=0o700)
    MARK.touch()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command for a terminal


def _built(address: str) -> dict[str, str]:
    environment = os.environ | {
        "TRADELATCH_SENDING_LEASE_SECONDS": "30",
        "TRADELATCH_CALLS_PER_MINUTE": "1000000",
        "TRADELATCH_TRADE_CALLS_PER_MINUTE": "1000000",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo.building", address],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"The demo could not be built:\n{ran.stderr}")
    told: dict[str, str] = json.loads(ran.stdout)
    return told


def main() -> None:
    _clear()
    _say("Building a month of calls, orders and trades; this takes a minute or two ...")

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()

    from django.conf import settings

    from console.onboarding import supervisor
    from tests.demo.broker import DemoIbkr
    from tests.demo.waiting import keep_waiting
    from tests.serving import until

    with DemoIbkr() as broker:
        told = _built(broker.url)
        running = subprocess.Popen(
            # Its own words to whoever starts it say nothing of the demo.
            [sys.executable, "manage.py", "run"],
            cwd=settings.BASE_DIR,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

        def stop(number: int, frame: object) -> None:
            running.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)

        def ready() -> bool:
            return running.poll() is not None or supervisor.answers(settings.HOST, settings.PORT)

        until(ready, seconds=40, what="the web server answers")
        if running.poll() is None:
            stopping = threading.Event()
            threading.Thread(target=keep_waiting, args=(broker, told, stopping), daemon=True).start()
            _welcome(settings, told)
            running.wait()
            stopping.set()
    sys.exit(running.returncode)


def _welcome(settings: Any, told: dict[str, str]) -> None:
    _say("\nThe demo is running. Ctrl-C stops it; the next start builds it again.\n")
    _say(f"{'Console':<12} {settings.PUBLIC_URL}/")
    _say(f"{'Sign in as':<12} {told['email']}")
    _say(f"{'Password':<12} {told['password']}")


if __name__ == "__main__":
    main()
