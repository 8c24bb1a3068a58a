"""The Celery application. Tasks only nudge: what must not be lost is a row in the database."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

# The scheme of CELERY_BROKER_URL where no server is named.
TRANSPORT_ALIASES["files"] = "console.embedded_queue:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("tradelatch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
