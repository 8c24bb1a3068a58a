"""How much waits for a person's own approval or answer: what every page says and asks again while it stays open."""

from dataclasses import dataclass
from typing import Self

from brokers.types import Environment
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
        found, asked = approvals.waiting_now(owner), broker_questions.open_now(owner)
        return cls(
            count=len(found) + len(asked),
            newest="-".join(max((each for each, _ in kind), default="") for kind in (found, asked)).strip("-"),
            is_live=any(environment != Environment.PAPER for _, environment in found + asked),
        )

    @property
    def mark(self) -> str:
        """Differs whenever there is something new to say."""
        return f"{self.count}-{self.newest}"
