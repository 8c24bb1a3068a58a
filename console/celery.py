"""The Celery application. Tasks only nudge: what must not be lost is a row in the database."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("tradelatch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
