"""The console alone, for a WSGI server. ``/mcp`` needs ``console.asgi`` or ``mcpserver.asgi``."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

_django = get_wsgi_application()

from console import base_path  # noqa: E402  it has settings
from console.onboarding import migrate, sealing_keys  # noqa: E402  it has models

migrate.refuse_newer()
sealing_keys.refuse_unfitting()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["PATH_INFO"] = base_path.whole(environ.get("PATH_INFO", "/"))
    return _django(environ, start_response)
