"""What every process of a race imports, imported once: they are forked from one that has it, see ``tests.races``."""

import django

django.setup()

from console.authority import bearer  # noqa: E402 - after django.setup()
from console.orders import actions  # noqa: E402
from console.orders.execution import reconcile  # noqa: E402
from console.orders.owner import approvals  # noqa: E402
from mcpserver import pipeline  # noqa: E402

__all__ = ["actions", "approvals", "bearer", "pipeline", "reconcile"]
