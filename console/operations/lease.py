"""One process does it, however many could: a row with an end, by the database's clock."""

import os
import secrets
import socket
import time
from datetime import timedelta

from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Now

from console.operations.models import Lease

SECONDS = 30.0
"""After that long without a word from its holder, another process takes it."""
_RENEWED_EVERY = 10.0


def is_over() -> Q:
    """Leases that nobody holds. One that lasts longer than any is from before the clock was set back."""
    return Q(until__lt=Now()) | Q(until__gt=Now() + timedelta(seconds=2 * SECONDS))


class Holder:
    """One process that would like to hold a lease."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.me = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"[-100:]
        self._good_until = 0.0

    def hold(self) -> bool:
        """Take or renew it; False while another holds it. Raises django.db.Error."""
        if time.monotonic() < self._good_until:
            return True
        until = Now() + timedelta(seconds=SECONDS)
        asked = time.monotonic()
        row = Lease.objects.filter(name=self.name)
        if not row.filter(Q(holder=self.me) | is_over()).update(holder=self.me, until=until):
            if row.exists():
                return False
            try:
                Lease.objects.create(name=self.name, holder=self.me, until=until)
            except IntegrityError:  # another was faster
                return False
        self._good_until = asked + _RENEWED_EVERY
        return True

    def release(self) -> None:
        """Give it back, so that the next one need not wait for its end. Raises django.db.Error."""
        if self._good_until:
            self._good_until = 0.0
            Lease.objects.filter(name=self.name, holder=self.me).delete()
