"""How much waits for a person's own approval or answer: what every page says and asks again while it stays open."""

from dataclasses import dataclass
from typing import Self

from console.accounts.models import User
from console.orders.owner import approvals, broker_questions


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingBadge:
    count: int
    newest: str
    """Public ids of the newest order and of the newest question; empty when nothing waits."""
    is_live: bool
    """Real money is among it."""

    @classmethod
    def of(cls, owner: User) -> Self:
        found, asked = list(approvals.for_owner(owner)), list(broker_questions.open_questions(owner))
        connections = [each.app.connection for each in found] + [each.order.connection for each in asked]
        return cls(
            count=len(connections),
            newest="-".join(max((each.public_id for each in kind), default="") for kind in (found, asked)).strip("-"),
            is_live=any(connection.is_live for connection in connections),
        )

    @property
    def mark(self) -> str:
        """Differs whenever there is something new to say."""
        return f"{self.count}-{self.newest}"
