"""The console alone, for a WSGI server. ``/mcp`` needs ``console.asgi`` or ``mcpserver.asgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

from console.onboarding import migrate

application = get_wsgi_application()
migrate.refuse_newer()
