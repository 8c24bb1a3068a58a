"""The whole server with the fakes of ``FAKE_BROKERS`` (JSON) in the place of brokers."""

import json
import os

from console.asgi import application

__all__ = ["application"]

from django.conf import settings

from brokers.ibkr import session

session.LIST_EVERY = 0.0  # without the pauses IBKR asks for between two looks

settings.BROKER_OVERRIDES = json.loads(os.environ["FAKE_BROKERS"])
