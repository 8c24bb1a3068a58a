"""Who calls: people with a connection to the fake broker each, and apps with a key each. Django is set up."""

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.hashers import make_password
from django.db import transaction

from console.accounts.models import User
from console.connections import vault
from console.connections.models import Connection
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.scopes import Scope
from tests.brokers.alpaca.fake import ACCOUNT, SECRET
from tests.chaos.venues import Truth, alpaca_truth, ask_fake
from tests.load.exchange import key_of

PASSWORD = "correct horse battery"
SIMULATED_KEYS = 64
"""Keys of the paper exchange, over as many people as there are up to eight: nothing but the desk answers those."""


@dataclass(frozen=True, slots=True)
class App:
    number: int
    person: str
    """E-mail address."""
    key: str
    public_id: str


@dataclass(slots=True)
class Account:
    """One person's account at the fake broker."""

    name: str
    connection: Connection
    url: str
    in_place: bool = False

    def truth(self) -> Truth:
        return alpaca_truth(ask_fake(self.url, "state", self.name))


@dataclass(frozen=True, slots=True)
class People:
    apps: list[App]
    accounts: list[Account]
    paper_keys: list[str]


def make(people: int, apps: int, broker: str) -> People:
    """``broker``: the address of the fake."""
    hashed = make_password(PASSWORD)  # a third of a second, by design
    made = People([], [], [])
    for number in range(people):
        with transaction.atomic():
            owner = User.objects.create_user(f"person{number}@example.com")
            owner.password = hashed
            owner.save()
            connection = link(owner, key_of(number), broker)
            made.accounts.append(Account(key_of(number), connection, broker))
            for place in range(number, apps, people):
                key, raw = minting.mint(owner, connection, frozenset({Scope.TRADE}), name=f"App {place}")
                made.apps.append(App(place, owner.email, raw, key.public_id))
            if number < 8:
                paper, _ = connection_lifecycle.open_paper(owner, name="Practice", starting_cash=Decimal(100_000))
                for place in range(number, SIMULATED_KEYS, min(people, 8)):
                    minted = minting.mint(owner, paper, frozenset({Scope.READ}), name=f"Reader {place}")
                    made.paper_keys.append(minted[1])
    return made


def link(owner: User, key: str, broker: str) -> Connection:
    """A connection to the account of that key at the fake broker."""
    connection = Connection.objects.create(
        owner=owner,
        name="Alpaca",
        broker="alpaca",
        environment="paper",
        trading_enabled=True,
        default_account=ACCOUNT,
        currency="USD",
        settings={"environment": "paper", "account": ACCOUNT, "trading_url": broker, "data_url": broker},
    )
    connection.sealed = vault.seal(connection.pk, "alpaca", {"key_id": key, "secret": SECRET})
    connection.save(update_fields=["sealed"])
    return connection
