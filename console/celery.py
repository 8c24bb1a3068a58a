"""The Celery application. Tasks only nudge: what must not be lost is a row in the database."""

import os
import sys
import threading

import django
from celery import Celery
from celery.signals import beat_init, worker_init, worker_shutting_down
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string
from kombu.transport import TRANSPORT_ALIASES

from console.onboarding import migrate

# The scheme of CELERY_BROKER_URL where no server is named.
TRANSPORT_ALIASES["files"] = "console.embedded_queue:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("tradelatch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_ENDS_AFTER_SECONDS = 8.0
"""From SIGTERM: what stops processes, here and in deploy/, gives them ten and more before it kills them."""


@worker_init.connect
@beat_init.connect
def _refuse_what_does_not_fit(**kwargs: object) -> None:
    if not apps.ready:  # a second time would give logging the stream that Celery has put in the place of stderr
        django.setup()
    try:
        migrate.refuse_newer()
        # Its models can be imported now, and not before.
        import_string("console.onboarding.sealing_keys.refuse_unfitting")()
    except ImproperlyConfigured as error:
        # The real one: Celery has put a logger in the place of sys.stderr, and says no last words through it.
        print(f"tradelatch: {error}", file=sys.__stderr__, flush=True)
        sys.exit(1)
    finally:
        connections.close_all()


@worker_shutting_down.connect
def _end_in_time(**kwargs: object) -> None:
    """Celery waits for its tasks however long they take, such as for a broker that does not answer."""
    ending = threading.Timer(_ENDS_AFTER_SECONDS, _end_now)
    ending.daemon = True
    ending.start()


def _end_now() -> None:
    """Any task may be cut: the next worker finds what is left of it in the database, as after a crash."""
    print("tradelatch: tasks still ran; the next worker continues them.", file=sys.__stderr__, flush=True)
    os._exit(0)
