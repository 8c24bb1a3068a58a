"""The picture of an order's life, as SVG, drawn from the table of moves. What the table has not, cannot be drawn."""

from collections.abc import Mapping
from html import escape

from console.orders.states import AT_BROKER, ENDED, STATUS_LABELS, Status

_WIDE, _HIGH = 156, 46
_ANSWERS = frozenset({*AT_BROKER, Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.REJECTED})
_ENDS = _ANSWERS & ENDED
_AT: dict[Status, tuple[int, int]] = {
    Status.AWAITING: (16, 70),
    Status.INTENT: (216, 70),
    Status.SENDING: (416, 70),
    Status.LAPSED: (16, 190),
    Status.DENIED: (216, 190),
    Status.NOT_SENT: (416, 190),
    Status.REJECTED_BY_OWNER: (16, 310),
    Status.ASKED: (216, 310),
    Status.UNANSWERED: (216, 410),
    Status.UNKNOWN: (416, 310),
    Status.NOT_FOUND: (416, 410),
    Status.WORKING: (636, 70),
    Status.PARTIALLY_FILLED: (636, 190),
    Status.FILLED: (842, 70),
    Status.CANCELLED: (842, 140),
    Status.EXPIRED: (842, 210),
    Status.REJECTED: (842, 280),
}
_GROUPS = {_ANSWERS: (622, 28, 394, 330, "What the broker says"), _ENDS: (828, 54, 184, 292, "")}
Group = Status | frozenset[Status]
# The way of each arrow. A move that stands in neither table is an error, and so is an arrow that is no move.
_ARROWS: dict[tuple[Status, Group], str] = {
    (Status.AWAITING, Status.INTENT): "M172 93H212",
    (Status.AWAITING, Status.DENIED): "M120 116L232 186",
    (Status.AWAITING, Status.LAPSED): "M80 116V186",
    (Status.AWAITING, Status.REJECTED_BY_OWNER): "M24 116C4 160 4 262 24 306",
    (Status.INTENT, Status.SENDING): "M372 93H412",
    (Status.INTENT, Status.DENIED): "M294 116V186",
    (Status.SENDING, Status.NOT_SENT): "M480 116V186",
    (Status.SENDING, Status.UNKNOWN): "M560 116C604 170 604 260 564 306",
    (Status.SENDING, Status.ASKED): "M430 116C390 150 400 250 352 306",
    (Status.SENDING, _ANSWERS): "M572 93H618",
    (Status.ASKED, Status.SENDING): "M330 310C386 250 380 160 418 120",
    (Status.ASKED, Status.REJECTED_BY_OWNER): "M216 333H176",
    (Status.ASKED, Status.DENIED): "M270 310V240",
    (Status.ASKED, Status.UNANSWERED): "M350 356V406",
    (Status.UNKNOWN, _ANSWERS): "M572 333H618",
    (Status.UNKNOWN, Status.NOT_FOUND): "M494 356V406",
    (Status.NOT_FOUND, _ANSWERS): "M572 433C660 433 690 400 700 362",
    (Status.WORKING, Status.PARTIALLY_FILLED): "M714 116V186",
    (Status.WORKING, _ENDS): "M792 93H824",
    (Status.PARTIALLY_FILLED, _ENDS): "M792 213H824",
}
# Moves to a status far away: named above the box instead of drawn.
_NAMED: dict[Status, tuple[Status, ...]] = {
    Status.AWAITING: (Status.CANCELLED,),
    Status.INTENT: (Status.CANCELLED,),
    Status.ASKED: (Status.CANCELLED,),
}
_STYLE = """
    svg { font: 12px ui-sans-serif, system-ui, sans-serif; color-scheme: light dark }
    .box { fill: #fff; stroke: #8b8f97 } .end { fill: #eceff3 }
    .group { fill: none; stroke: #8b8f97; stroke-dasharray: 4 4 }
    .name { font: 600 11.5px ui-monospace, monospace; fill: #15181d } .words, .note { fill: #505762; font-size: 11px }
    .arrow { fill: none; stroke: #1d4ed8; stroke-width: 1.5 } .head { fill: #1d4ed8 }
    @media (prefers-color-scheme: dark) {
      .box { fill: #1a1d22; stroke: #6d747f } .end { fill: #2a2f37 } .group { stroke: #6d747f } .name { fill: #e9eaec }
      .words, .note { fill: #adb3bd } .arrow { stroke: #8fb2ff } .head { fill: #8fb2ff }
    }
""".rstrip()


def order_states(moves: Mapping[Status, frozenset[Status]]) -> str:
    """Raises ValueError where the arrows are not exactly the moves."""
    _check(moves)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 484" width="1024" height="484" role="img" '
        'aria-label="Every status of an order and every move between them">',
        f"  <style>{_STYLE}\n  </style>",
        '  <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    for left, top, wide, high, title in _GROUPS.values():
        parts.append(f'  <rect class="group" x="{left}" y="{top}" width="{wide}" height="{high}" rx="10"/>')
        if title:
            parts.append(f'  <text class="note" x="{left + 14}" y="{top + 18}">{title}</text>')
    for (before, after), way in _ARROWS.items():
        name = after.value if isinstance(after, Status) else "any answer"
        parts.append(
            f'  <path class="arrow" d="{way}" marker-end="url(#head)"><title>{before} to {name}</title></path>'
        )
    for status, (left, top) in _AT.items():
        kind = "box end" if status in ENDED else "box"
        middle = left + _WIDE // 2
        parts += [
            f'  <rect class="{kind}" x="{left}" y="{top}" width="{_WIDE}" height="{_HIGH}" rx="7"/>',
            f'  <text class="name" x="{middle}" y="{top + 20}" text-anchor="middle">{status}</text>',
            f'  <text class="words" x="{middle}" y="{top + 36}" text-anchor="middle">{escape(_short(status))}</text>',
        ]
        if status in _NAMED:
            named = ", ".join(_NAMED[status])
            parts.append(
                f'  <text class="note" x="{left + 4}" y="{top - 7 if top < 100 else top + _HIGH + 15}">→ {named}</text>'
            )
    parts.append(
        '  <text class="note" x="16" y="474">Shaded: it has ended. not_found is looked up again for a day.</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _short(status: Status) -> str:
    return {
        Status.AWAITING: "Waiting to be confirmed",
        Status.ASKED: "The broker asks",
        Status.UNANSWERED: "Nobody answered it",
    }.get(status, STATUS_LABELS[status])


def _check(moves: Mapping[Status, frozenset[Status]]) -> None:
    drawn = {
        (before, each)
        for before, after in _ARROWS
        for each in ([after] if isinstance(after, Status) else after)
        if each is not before
    }
    drawn |= {(before, after) for before, several in _NAMED.items() for after in several}
    wanted = {(before, after) for before, several in moves.items() for after in several}
    if drawn != wanted or set(_AT) != set(Status):
        raise ValueError(f"The picture lacks {sorted(wanted - drawn)}, and has {sorted(drawn - wanted)} too many.")
