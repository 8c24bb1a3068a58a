from typing import Any

from django.core.management.base import BaseCommand

from console.journal import profit_rollups


class Command(BaseCommand):
    help = "Sum profit and fees of every account again from its executions, and say how many stored sums differed."

    def handle(self, *args: Any, **options: Any) -> None:
        accounts, differed = profit_rollups.rebuild_all()
        self.stdout.write(f"Accounts summed again: {accounts}. Sums that differed and are right now: {differed}.")
