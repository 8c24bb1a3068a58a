"""The start of the web server: no rubbish is looked for among what it imports, and it imports what it uses."""

import gc
import importlib
import subprocess
import sys
from pathlib import Path

import console.asgi
from tests.commands import REPOSITORY, environment
from tests.patience import at_most


def test_rubbish_is_collected_once_it_has_been_imported() -> None:
    assert gc.isenabled()
    importlib.reload(console.asgi)
    assert gc.isenabled()


def test_who_has_switched_collecting_off_finds_it_off() -> None:
    gc.disable()
    try:
        importlib.reload(console.asgi)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_start_loads_nothing_that_the_default_instance_does_not_use(tmp_path: Path) -> None:
    script = (
        "import sys, django; django.setup(); from console import processes; "
        "processes.app.loader.import_default_modules(); print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment(tmp_path / "home", 8000) | {"DJANGO_SETTINGS_MODULE": "console.settings"},
        capture_output=True,
        text=True,
        check=True,
        timeout=at_most(60),
    )
    assert not {"aiohttp", "ccxt", "numpy", "redis", "websockets"} & set(ran.stdout.split())
