"""A user's answer and an app's confirm at one moment, many times: only the answer sends, once, and no app ever does.

``python -m tests.question_race --on sqlite --rounds 20``; a home and a database of its own, gone afterwards. In each
round an app holds a confirmation, its user is asked about the very order, and both press at once; the asking itself is
part of the race in every other round.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tests.races import at_once, instance

if TYPE_CHECKING:
    from console.principal import Principal

APPS, ANSWERS = 4, 4


def one_round(app: "Principal", user: "Principal", number: int) -> list[tuple[str, str]]:
    """Who pressed, and what each was told."""
    from console.errors import Refusal
    from console.orders import actions as order_actions
    from console.orders import prepare as preparing
    from console.orders.models import Order, OrderEvent
    from tests.console.orders.conftest import bitcoin

    name, terms, asked_first = f"round-{number}", bitcoin("1", limit="1000"), number % 2 == 0
    held = preparing.prepare(app, terms, client_order_id=name).confirmation.public_id
    if asked_first:
        preparing.prepare(user, terms, client_order_id=name)

    def asked_and_answered() -> None:
        preparing.prepare(user, terms, client_order_id=name)
        order_actions.confirm(user, held)

    def confirmed() -> None:
        order_actions.confirm(app, held)

    turns: SimpleQueue[tuple[str, Callable[[], None]]] = SimpleQueue()
    for turn in [("app", confirmed)] * APPS + [("user", asked_and_answered)] * ANSWERS:
        turns.put(turn)

    def next_turn() -> tuple[str, str]:
        who, act = turns.get()
        try:
            act()
        except Refusal as refusal:
            return who, refusal.code.value
        return who, "sent"

    told: list[tuple[str, str]] = at_once(APPS + ANSWERS, next_turn)
    order = Order.objects.get(client_order_id=name)
    assert OrderEvent.objects.filter(order=order, after="intent").count() == 1, told
    assert sum(what == "sent" for _, what in told) == 1, told
    if asked_first:
        assert {what for who, what in told if who == "app"} <= {"user_is_asked", "confirmation_used"}, told
    return told


def run(rounds: int) -> Counter[str]:
    from console.accounts.models import User
    from console.authority import bearer
    from console.connections import paper_linking as paper_connections
    from console.keys import minting
    from console.principal import Redeemer
    from console.scopes import Scope

    owner = User.objects.create_user("olivia@example.com", "correct horse battery")
    account = paper_connections.link_paper(owner, name="Practice", starting_cash=Decimal(1_000_000))
    _, key = minting.mint(owner, account, frozenset({Scope.TRADE}), name="script")
    app = bearer.authenticate(key)
    user = replace(app, redeemer=Redeemer.USER)
    return Counter(f"{who}: {what}" for number in range(rounds) for who, what in one_round(app, user, number))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], required=True)
    asked.add_argument("--rounds", type=int, default=20)
    chosen = asked.parse_args()
    with instance(chosen.on):
        became = run(chosen.rounds)
    sys.stdout.write(f"{chosen.on}: {chosen.rounds} rounds, each sent once: {dict(became)}\n")


if __name__ == "__main__":
    main()
