"""The console alone, for a WSGI server. ``/mcp`` needs ``console.asgi`` or ``mcpserver.asgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

application = get_wsgi_application()

from console.onboarding import migrate, sealing_keys  # noqa: E402  it has models

migrate.refuse_newer()
sealing_keys.refuse_unfitting()
