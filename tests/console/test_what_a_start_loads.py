"""What the default instance never uses is not loaded when it starts: each library is memory and time of every start."""

import subprocess
import sys
from pathlib import Path

from tests import serving

UNUSED = (
    *("ccxt", "drf_spectacular.openapi", "prometheus_client", "psycopg", "rest_framework.test"),
    *("console.api.openapi", "console.operations.figures", "opentelemetry.sdk"),
)
_LOAD = f"""
import sys
import django
django.setup()
from console import processes
processes.instance(host="127.0.0.1", port=8000)
print(sorted(name for name in {UNUSED!r} if sys.modules.get(name) is not None))
"""


def test_libraries_of_others_are_not_loaded(tmp_path: Path) -> None:
    environment = serving.environment(tmp_path / "home", 8000) | {"DJANGO_SETTINGS_MODULE": "console.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=serving.REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "[]", ran.stderr
