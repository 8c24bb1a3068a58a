"""Keys of several people, each with a paper connection of their own, in the home of the environment: a JSON list.

Run in the tree of the revision that is measured; its older ones call the module of connections otherwise.
"""

import importlib.util
import json
import sys
from decimal import Decimal

import django

PEOPLE, EACH = 8, 8


def main() -> None:
    django.setup()
    minting = importlib.import_module("console.keys.minting")
    people = importlib.import_module("console.accounts.models").User.objects
    read = frozenset({importlib.import_module("console.scopes").Scope.READ})
    new, old = "console.onboarding.connection_lifecycle", "console.onboarding.open_connection"
    opening = importlib.import_module(new if importlib.util.find_spec(new) else old)
    keys = []
    for place in range(PEOPLE):
        person = people.create_user(f"person{place}@bench.local", "a password of nobody")
        connection, _ = opening.open_paper(person, name="Practice", starting_cash=Decimal(100_000))
        keys += [minting.mint(person, connection, read, name=f"key {number}")[1] for number in range(EACH)]
    json.dump(keys, sys.stdout)


if __name__ == "__main__":
    main()
