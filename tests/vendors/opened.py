"""A fake of each broker with what a client needs to call it, and our adapter for the state that the client leaves."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from brokers.alpaca.adapter import AlpacaBroker
from brokers.ibkr.adapter import IbkrBroker
from brokers.tws import api_connection
from brokers.tws.adapter import TwsBroker
from tests.brokers.alpaca import fake as alpaca_fake
from tests.brokers.alpaca.conftest import settings_for as alpaca_settings
from tests.brokers.contract.cases import CryptoCase
from tests.brokers.faults import Reply
from tests.brokers.ibkr import fake as ibkr_fake
from tests.brokers.tws import fake as tws_fake
from tests.vendors import words
from tests.vendors.ours import Ours

Given = Mapping[str, Any]
Opening = Callable[[], AbstractContextManager[tuple[Given, Callable[[], Ours]]]]
_ORDERS = (
    *("rests", "market", "stop", "ioc", "moved", "before_moved", "ended", "ended_by_our_id", "too_big", "never"),
    *("stop_limit", "trail", "spend", "bracket", "target", "exit", "asked", "sale", "spread"),
    *("pair", "pair_stop", "entry", "exit_stop", "streamed"),
)
IDS = {name: f"{place:032x}".replace("0", "a", 8) for place, name in enumerate(_ORDERS, 1)}
_SLOW = {"connect": 5, "read": 5, "total": 10}


def _given(url: str, key: str, secret: str, **more: str) -> Given:
    return {"url": url, "key": key, "secret": secret, "passphrase": "", "ids": IDS, **more}


def crypto(case: CryptoCase) -> Opening:
    @contextmanager
    def opening() -> Iterator[tuple[Given, Callable[[], Ours]]]:
        settings = case.venue.settings
        with case.venue.fake() as fake:

            def ours() -> Ours:
                # Its nonces count smaller parts of a second than ours: one key for both would lock the adapter out.
                vars(fake).update(nonce=0)
                told = {**settings, "base_url": fake.url, "timeout": 5, "per_second": 1000}
                return Ours(case.venue.adapter.open(told), case.venue.symbol, IDS)

            keys = (settings["api_key"], settings["secret"])
            yield _given(fake.url, *keys, passphrase=settings.get("passphrase", ""), venue=case.name), ours

    return opening


@contextmanager
def alpaca() -> Iterator[tuple[Given, Callable[[], Ours]]]:
    with alpaca_fake.FakeAlpaca() as fake:

        def ours() -> Ours:
            broker = AlpacaBroker.open(alpaca_settings(fake.url, timeouts=_SLOW))
            return Ours(broker, "AAPL", IDS, words.of_alpaca(fake))

        yield _given(fake.url, alpaca_fake.KEY_ID, alpaca_fake.SECRET), ours


class _Asking(ibkr_fake.FakeIbkr):
    """Asks a question before one of the orders."""

    def _place(self, tickets: list[dict[str, Any]]) -> Reply:
        self.questions = [ibkr_fake.QUESTION] if tickets[0]["cOID"] == IDS["asked"] else []
        return super()._place(tickets)


@contextmanager
def ibkr() -> Iterator[tuple[Given, Callable[[], Ours]]]:
    with _Asking() as fake:

        def ours() -> Ours:
            broker = IbkrBroker.open({"base_url": fake.url + ibkr_fake.BASE, "timeouts": _SLOW})
            return Ours(broker, f"AAPL@{ibkr_fake.APPLE}", IDS, words.of_ibkr)

        yield _given(fake.url, ibkr_fake.PAPER, ""), ours


@contextmanager
def tws() -> Iterator[tuple[Given, Callable[[], Ours]]]:
    with tws_fake.FakeTws() as fake:

        def ours() -> Ours:
            broker = TwsBroker.open({"host": "127.0.0.1", "port": fake.port, "client_id": 7, "timeout": 5})
            return Ours(broker, "AAPL@265598", IDS, words.of_tws(broker))

        yield _given(f"tws://127.0.0.1:{fake.port}", tws_fake.ACCOUNT, ""), ours
        api_connection.close_shared()
