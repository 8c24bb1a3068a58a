"""How a trading plan and each of its orders can stand, and every move between. No database."""

from enum import StrEnum


class PlanStatus(StrEnum):
    AWAITING = "awaiting_confirmation"
    """Prepared and shown; nothing was sent."""
    RUNNING = "running"
    PAUSED = "paused"
    """It sends nothing until its owner resumes it."""
    DONE = "done"
    """Every order of it has ended, or its time is over."""
    STOPPED = "stopped"
    """By Tradelatch, which says why."""
    CANCELLED = "cancelled"
    """By its app or its owner."""
    DISCARDED = "discarded"
    """By its app, before it was started."""
    DECLINED = "declined"
    """By its owner, before it was started."""
    LAPSED = "lapsed"
    """Nobody confirmed it in time."""


ACTIVE = frozenset({PlanStatus.RUNNING, PlanStatus.PAUSED})
NOT_OVER = ACTIVE | {PlanStatus.AWAITING}

PLAN_MOVES: dict[PlanStatus, frozenset[PlanStatus]] = {
    PlanStatus.AWAITING: frozenset(
        {PlanStatus.RUNNING, PlanStatus.DISCARDED, PlanStatus.DECLINED, PlanStatus.LAPSED, PlanStatus.STOPPED}
    ),
    PlanStatus.RUNNING: frozenset({PlanStatus.PAUSED, PlanStatus.DONE, PlanStatus.STOPPED, PlanStatus.CANCELLED}),
    PlanStatus.PAUSED: frozenset({PlanStatus.RUNNING, PlanStatus.DONE, PlanStatus.STOPPED, PlanStatus.CANCELLED}),
}

PLAN_LABELS: dict[PlanStatus, str] = {
    PlanStatus.AWAITING: "Waiting for confirmation",
    PlanStatus.RUNNING: "Running",
    PlanStatus.PAUSED: "Paused",
    PlanStatus.DONE: "Done",
    PlanStatus.STOPPED: "Stopped",
    PlanStatus.CANCELLED: "Cancelled",
    PlanStatus.DISCARDED: "Discarded",
    PlanStatus.DECLINED: "Declined by the owner",
    PlanStatus.LAPSED: "Not confirmed in time",
}


class ChildStatus(StrEnum):
    WAITING = "waiting"
    """Its time has not come, or it is tried again later."""
    WORKING = "working"
    """A process prepares and releases it. One that died is followed by another, which begins where it ended."""
    OPEN = "open"
    """Its order was released, once."""
    DONE = "done"
    """Its order has ended."""
    SKIPPED = "skipped"
    """It was refused, or came too late; nothing was sent."""
    LEFT_OUT = "left_out"
    """Its plan ended before; nothing was sent."""


CHILD_MOVES: dict[ChildStatus, frozenset[ChildStatus]] = {
    ChildStatus.WAITING: frozenset({ChildStatus.WORKING, ChildStatus.SKIPPED, ChildStatus.LEFT_OUT}),
    ChildStatus.WORKING: frozenset({ChildStatus.WAITING, ChildStatus.OPEN, ChildStatus.SKIPPED, ChildStatus.LEFT_OUT}),
    ChildStatus.OPEN: frozenset({ChildStatus.DONE, ChildStatus.WAITING}),
}

CHILD_LABELS: dict[ChildStatus, str] = {
    ChildStatus.WAITING: "Waiting",
    ChildStatus.WORKING: "Being prepared",
    ChildStatus.OPEN: "Open",
    ChildStatus.DONE: "Ended",
    ChildStatus.SKIPPED: "Skipped",
    ChildStatus.LEFT_OUT: "Left out",
}
