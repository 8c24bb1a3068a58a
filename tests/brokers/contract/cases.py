"""The adapters that the contract is held to. A new one is one more ``Case`` in ``CASES``, and nothing else.

The first half, ``test_reads``, needs no trading: an adapter in the making passes it alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import count
from typing import Any, Protocol, runtime_checkable

import pytest

from brokers import http, leg_ids, registry
from brokers.alpaca.adapter import AlpacaBroker
from brokers.base import Broker
from brokers.binance.adapter import BinanceBroker
from brokers.coinbase.adapter import CoinbaseBroker
from brokers.crosstrade.adapter import CrossTradeBroker
from brokers.errors import BrokerUnavailable, CannotTell, NeedsAnswer, WriteOutcome
from brokers.ibkr import adapter as ibkr_adapter
from brokers.ibkr import session as ibkr_session
from brokers.ibkr.adapter import IbkrBroker
from brokers.kraken.adapter import KrakenBroker
from brokers.krakenfutures.adapter import KrakenFuturesBroker
from brokers.okx.adapter import OkxBroker
from brokers.paper import accounts
from brokers.paper.adapter import PaperBroker
from brokers.tws import api_connection as tws_line
from brokers.tws.adapter import TwsBroker
from brokers.types import (
    BrokerOrder,
    Capabilities,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from tests.brokers.alpaca import fake as alpaca
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.binance import fake as binance
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.crosstrade import fake as crosstrade
from tests.brokers.crosstrade.conftest import settings_for as crosstrade_settings
from tests.brokers.exchange import CryptoFake
from tests.brokers.faults import SENDING, Fault, Loopback
from tests.brokers.ibkr import fake as ibkr
from tests.brokers.ibkr.conftest import settings_for as ibkr_settings
from tests.brokers.kraken import fake as kraken
from tests.brokers.krakenfutures import fake as krakenfutures
from tests.brokers.okx import fake as okx
from tests.brokers.template import fake as template
from tests.brokers.template.adapter import TemplateBroker
from tests.brokers.tws import fake as tws
from tests.patience import lasting

_ids = count(1)


def new_id() -> str:
    return f"c0ffee{next(_ids):06x}4{0:019x}"


class Way(StrEnum):
    """What an adapter sends that a broker acts on."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    ANSWER = "answer"
    """A person's yes to what the broker asked first."""

    @property
    def order_class(self) -> OrderClass | None:
        return next((each for each in OrderClass if each.value == self.value), None)


@runtime_checkable
class Answering(Protocol):
    """An adapter whose broker may ask a person before it takes an order."""

    def answer(self, account_id: str, client_order_id: str, token: str, yes: bool) -> BrokerOrder | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An order as the broker itself has it."""

    open: bool
    quantity: Decimal
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call that sends once, all that it needs done before."""

    order: OrderRequest
    send: Callable[[], BrokerOrder | None]
    done: Callable[[], bool]
    """Whether the broker did it."""
    told: Callable[[BrokerOrder | None], bool]
    """Whether a look-up of the order says that it was done."""
    new_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """One adapter against something that answers it."""

    broker: Broker
    symbol: str
    price: Decimal
    """About what ``symbol`` costs now."""
    quantity: Decimal
    fake: Loopback | None = None
    sent: Callable[[str], int] = lambda client_order_id: 0
    """How often an order of this id arrived at the broker."""
    at_broker: Callable[[str], Standing | None] = lambda client_order_id: None
    secrets: tuple[str, ...] = ()
    market_by_units: bool = True
    """A market buy can be given in units."""
    exact_symbol: str = ""
    """An instrument in steps as small as this broker's can be."""
    set_price: Callable[[str], None] = lambda text: None
    """What the broker quotes of ``exact_symbol``."""
    set_cash: Callable[[str], None] = lambda text: None
    """What the account has in each of its currencies."""
    tells_absence: bool = True
    """The broker can say that there is no such order."""
    perpetual: str = ""
    root: str = ""
    """What it has futures on."""

    @property
    def account_id(self) -> str:
        """A read that failed is asked again: the servers share one busy process with their clients."""
        for _ in range(4):
            with suppress(BrokerUnavailable):
                return self.broker.accounts()[0].account_id
        return self.broker.accounts()[0].account_id

    @property
    def can(self) -> Capabilities:
        return self.broker.capabilities

    @property
    def low_price(self) -> Decimal:
        """A price nobody sells at now, on the instrument's tick."""
        tick = self.broker.instrument(self.symbol).tick
        return self.price / 2 // tick * tick

    @property
    def server(self) -> Loopback:
        assert self.fake is not None
        return self.fake

    @property
    def wire(self) -> CryptoFake:
        assert isinstance(self.fake, CryptoFake)
        return self.fake

    def stands(self, client_order_id: str) -> bool:
        return self.at_broker(client_order_id) is not None

    def look(self, client_order_id: str, symbol: str = "") -> BrokerOrder | None:
        """None also where the broker cannot tell: only those that can may say it by None.

        A look that failed is taken again, as the desk takes it: a connection may just be ending.
        """
        for left in range(4, -1, -1):
            try:
                found = self.broker.order(self.account_id, client_order_id, symbol=symbol or self.symbol)
            except CannotTell:
                assert not self.tells_absence
                return None
            except BrokerUnavailable:
                if not left:
                    raise
                continue
            assert found is not None or self.tells_absence
            return found
        raise AssertionError

    def order(self, **terms: Any) -> OrderRequest:
        """A limit order to buy far below the price, or what ``terms`` make of it."""
        asked: dict[str, Any] = {
            "client_order_id": new_id(),
            "symbol": self.symbol,
            "side": Side.BUY,
            "order_type": OrderType.LIMIT,
            "quantity": self.quantity,
            "tif": TimeInForce.GTC,
            "limit_price": self.low_price,
        }
        return OrderRequest(**{**asked, **terms})

    def with_exits(self, order_class: OrderClass) -> OrderRequest:
        """To buy far below the price, with exits around that; or two orders to sell of which one ends the other."""
        tick = self.broker.instrument(self.symbol).tick
        above, below = self.price * 2 // tick * tick, self.low_price / 2 // tick * tick
        first = new_id()
        following = [leg_ids.of_exit(first, place) for place in (0, 1)]
        profit = LegRequest(
            client_order_id=following[0],
            side=Side.SELL,
            order_type=OrderType.LIMIT,
            quantity=self.quantity,
            tif=TimeInForce.GTC,
            limit_price=above,
        )
        stop = replace(
            profit,
            client_order_id=following[order_class is OrderClass.BRACKET],
            order_type=OrderType.STOP,
            limit_price=None,
            stop_price=below,
        )
        match order_class:
            case OrderClass.OCO:
                return self.order(
                    client_order_id=first, order_class=order_class, side=Side.SELL, limit_price=above, legs=(stop,)
                )
            case OrderClass.OTO:
                return self.order(client_order_id=first, order_class=order_class, legs=(stop,))
            case _:
                return self.order(client_order_id=first, order_class=order_class, legs=(profit, stop))


class Case(ABC):
    name: str
    adapter: type[Any]
    sending: tuple[Fault, ...] = ()
    """What can go wrong on the way to it; nothing for a broker without a wire."""
    outcomes: Mapping[str, WriteOutcome] = {}
    """Fault → what it means here, where that is not UNKNOWN."""
    sends: Mapping[Way, tuple[str, str]] = {}
    """Method of each way, and how its path begins."""
    tells_duplicates = True
    """The broker refuses an id it has."""
    new_id_when_replaced = False
    keeps_broker_id = True
    """The broker's id of an order is the same in its first answer and in every look after it."""
    names_exits = True
    """An exit that waits for its order is an order of its own by an id of ours: it can be cancelled by itself."""
    read_digits = 0
    """Beyond so many digits what is read is not exact; 0 for no such limit."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Rig]: ...

    def make_exact(self, rig: Rig) -> None:
        """Lets ``exact_symbol`` be traded at any price and in any size. Only of those with a wire."""
        raise NotImplementedError

    def make_ask(self, rig: Rig) -> None:
        """Has the broker ask before it takes the next order."""
        raise NotImplementedError

    def make_odd(self, rig: Rig, client_order_id: str) -> None:
        """Gives an order a status that no document names."""
        raise NotImplementedError

    def with_wrong_key(self, rig: Rig) -> Broker:
        """Opened with a credential that the broker does not know. Only of those that have one."""
        raise NotImplementedError

    def without_secret(self, rig: Rig) -> Broker:
        raise NotImplementedError

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way to send that the adapter offers, by what it says of itself."""
        can = registry.capabilities(self.name)
        assert can is not None
        offered = {
            Way.SUBMIT: True,
            Way.CANCEL: True,
            Way.REPLACE: can.replace,
            Way.ANSWER: issubclass(self.adapter, Answering),
        }
        return tuple(each for each in Way if offered.get(each, each.order_class in can.order_classes))

    def faults(self, way: Way) -> tuple[Fault, ...]:
        """Those that can befall it: an id is a duplicate only where a new one is sent."""
        new = way in (Way.SUBMIT, Way.BRACKET, Way.OCO, Way.OTO) or (way is Way.REPLACE and self.new_id_when_replaced)
        return tuple(each for each in self.sending if new or each.kind != "duplicate")

    def attempt(self, rig: Rig, way: Way) -> Attempt:
        account, broker = rig.account_id, rig.broker
        broker.quotes([rig.symbol])
        order = rig.order() if way.order_class is None else rig.with_exits(way.order_class)
        new, price = new_id(), rig.low_price + broker.instrument(rig.symbol).tick

        def stands() -> bool:
            return all(rig.stands(each) for each in (order.client_order_id, *self.own_ids(order)))

        def is_found(found: BrokerOrder | None) -> bool:
            return found is not None

        match way:
            case Way.SUBMIT | Way.BRACKET | Way.OCO | Way.OTO:
                return Attempt(order=order, send=lambda: broker.submit(account, order), done=stands, told=is_found)
            case Way.ANSWER:
                self.make_ask(rig)
                with pytest.raises(NeedsAnswer) as asked:
                    broker.submit(account, order)
                token = asked.value.token
                assert isinstance(broker, Answering)
                asking = broker
                return Attempt(
                    order=order,
                    send=lambda: asking.answer(account, order.client_order_id, token, True),
                    done=stands,
                    told=is_found,
                )
            case Way.CANCEL:
                broker.submit(account, order)
                return Attempt(
                    order=order,
                    send=lambda: broker.cancel(account, order.client_order_id, symbol=rig.symbol),
                    done=lambda: not _of(rig, order.client_order_id).open,
                    told=lambda found: not (rig.tells_absence if found is None else found.status.is_open),
                )
            case Way.REPLACE:
                broker.submit(account, order)
                goes_by = new if self.new_id_when_replaced else order.client_order_id
                changes = OrderChanges(limit_price=price)

                def is_changed() -> bool:
                    after = rig.at_broker(goes_by)
                    return after is not None and after.limit_price == price

                return Attempt(
                    order=order,
                    send=lambda: broker.replace(account, order.client_order_id, changes, new),
                    done=is_changed,
                    told=lambda found: found is not None and found.limit_price == price,
                    new_id=new if self.new_id_when_replaced else "",
                )

    def own_ids(self, order: OrderRequest) -> Iterable[str]:
        """Those of the legs that the broker knows by an id of ours."""
        return (leg.client_order_id for leg in order.legs) if self.names_exits else ()


def _of(rig: Rig, client_order_id: str) -> Standing:
    found = rig.at_broker(client_order_id)
    assert found is not None
    return found


def _maybe(text: Any) -> Decimal | None:
    return None if text in (None, "") else Decimal(str(text))


class PaperCase(Case):
    name = "paper"
    adapter = PaperBroker

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        account = accounts.open_account("Practice", Decimal("1000000"), hours="always", seed=1)
        broker = PaperBroker.open({"account": account.key})
        yield Rig(broker=broker, symbol="AAPL", price=broker.quotes(["AAPL"])[0].last, quantity=Decimal(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Venue:
    fake: Callable[[], CryptoFake]
    adapter: type[Any]
    settings: Mapping[str, str]
    symbol: str = "BTC/USDT"
    exact_symbol: str = "TINY/USDT"
    outcomes: Mapping[str, WriteOutcome] = field(default_factory=dict)
    order_path: str
    cancel: tuple[str, str]
    """Method and how the path begins."""
    sends: Mapping[Way, tuple[str, str]] = field(default_factory=dict)
    """Further ways."""
    perpetual: str = ""
    root: str = ""
    wrong_secret: str = ""
    """Of the right form, where the form is checked."""
    market_by_units: bool = True


class CryptoCase(Case):
    def __init__(
        self,
        name: str,
        venue: _Venue,
        *,
        without: tuple[str, ...] = (),
        tells_duplicates: bool = True,
        names_exits: bool = True,
    ) -> None:
        self.names_exits = names_exits
        self.name = name
        self.venue = venue
        self.adapter = venue.adapter
        self.sending = tuple(each for each in SENDING if each.kind not in without)
        self.outcomes = venue.outcomes
        self.sends = {Way.SUBMIT: ("POST", venue.order_path), Way.CANCEL: venue.cancel, **venue.sends}
        self.tells_duplicates = tells_duplicates
        self.new_id_when_replaced = venue.adapter.REPLACED_BY_NEW

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with self.venue.fake() as fake:
            yield Rig(
                broker=self._open(fake),
                symbol=self.venue.symbol,
                price=Decimal(30000),
                quantity=Decimal("0.5"),
                fake=fake,
                sent=lambda client_order_id: fake.sent[client_order_id],
                at_broker=lambda client_order_id: _of_venue(fake, client_order_id),
                secrets=tuple(value for name, value in self.venue.settings.items() if name != "environment"),
                exact_symbol=self.venue.exact_symbol,
                set_price=lambda text: _quote(fake, self.venue.exact_symbol, text),
                set_cash=lambda text: fake.balances.update(dict.fromkeys(fake.balances, Decimal(text))),
                market_by_units=self.venue.market_by_units,
                perpetual=self.venue.perpetual,
                root=self.venue.root,
            )
            assert fake.misfits == []

    def make_exact(self, rig: Rig) -> None:
        rig.wire.listing(rig.exact_symbol).ask = "0.000001"

    def with_wrong_key(self, rig: Rig) -> Broker:
        return self._open(rig.wire, secret=self.venue.wrong_secret or "wrong" + self.venue.settings["secret"])

    def without_secret(self, rig: Rig) -> Broker:
        return self._open(rig.wire, secret="")

    def _open(self, fake: CryptoFake, **other: str) -> Broker:
        made: Broker = self.venue.adapter.open(
            {**self.venue.settings, "base_url": fake.url, "timeout": lasting(0.3), "per_second": 1000, **other}
        )
        return made


def _of_venue(fake: CryptoFake, client_order_id: str) -> Standing | None:
    found = fake.by_client(client_order_id)
    if found is None and isinstance(fake, okx.OkxFake):
        amount = fake.amount_of_algo(client_order_id)
        return None if amount is None else Standing(open=True, quantity=Decimal(amount), limit_price=None)
    if found is None:
        return None
    return Standing(open=found.status == "open", quantity=Decimal(found.amount or "0"), limit_price=_maybe(found.price))


def _quote(fake: CryptoFake, symbol: str, text: str) -> None:
    listing = fake.listing(symbol)
    listing.last = listing.bid = listing.ask = text


class AlpacaCase(Case):
    name = "alpaca"
    adapter = AlpacaBroker
    sending = SENDING
    sends = {
        Way.SUBMIT: ("POST", "/v2/orders"),
        Way.CANCEL: ("DELETE", "/v2/orders/"),
        Way.REPLACE: ("PATCH", "/v2/orders/"),
        **dict.fromkeys((Way.BRACKET, Way.OCO, Way.OTO), ("POST", "/v2/orders")),
    }
    new_id_when_replaced = True

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with alpaca.FakeAlpaca() as fake:

            def at_broker(client_order_id: str) -> Standing | None:
                for told in fake.orders.values():
                    if fake.our_id(told) == client_order_id:
                        return Standing(
                            open=told["status"] in alpaca.OPEN,
                            quantity=Decimal(told["qty"]),
                            limit_price=_maybe(told["limit_price"]),
                        )
                return None

            yield Rig(
                broker=AlpacaBroker.open(settings_for(fake.url)),
                symbol="AAPL",
                price=fake.prices["AAPL"],
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(body["client_order_id"].startswith(ours) for body in fake.sent),
                at_broker=at_broker,
                secrets=(alpaca.KEY_ID, alpaca.SECRET),
                exact_symbol="TINY/USD",
                set_price=lambda text: fake.prices.update({"TINY/USD": Decimal(text)}),
                set_cash=lambda text: setattr(fake, "cash", Decimal(text)),
            )
            assert fake.violations == []
            assert fake.unlike == []
            http.close_shared()

    def make_exact(self, rig: Rig) -> None:
        fake = rig.server
        assert isinstance(fake, alpaca.FakeAlpaca)
        steps = dict.fromkeys(("min_order_size", "min_trade_increment", "price_increment"), "0.000000000000000001")
        fake.assets["TINY/USD"] = alpaca.asset("TINY/USD", "crypto", **steps)
        fake.prices["TINY/USD"] = Decimal("0.000001")

    def make_odd(self, rig: Rig, client_order_id: str) -> None:
        assert isinstance(rig.server, alpaca.FakeAlpaca)
        rig.server.keeps_to_document = False
        for told in rig.server.orders.values():
            if told["client_order_id"] == client_order_id:
                told["status"] = "levitating"

    def with_wrong_key(self, rig: Rig) -> Broker:
        return AlpacaBroker.open(settings_for(_url(rig), secret="another"))

    def without_secret(self, rig: Rig) -> Broker:
        return AlpacaBroker.open(settings_for(_url(rig), secret=""))


def _url(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.server.port}"


class IbkrCase(Case):
    """With OAuth, so that there are secrets and signatures."""

    name = "ibkr"
    adapter = IbkrBroker
    sending = SENDING
    sends = {
        Way.SUBMIT: ("POST", f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/orders"),
        Way.CANCEL: ("DELETE", f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/order/"),
        Way.REPLACE: ("POST", f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/order/"),
        Way.ANSWER: ("POST", f"{ibkr.BASE}/iserver/reply/"),
        Way.OCO: ("POST", f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/orders"),
    }

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        keys = _ibkr_keys()
        with ibkr.FakeIbkr(keys) as fake, pytest.MonkeyPatch.context() as patch:
            patch.setattr(ibkr_session, "LIST_EVERY", 0.0)
            patch.setattr(ibkr_adapter, "_PRICE_PAUSE", 0.0)

            def at_broker(client_order_id: str) -> Standing | None:
                for told in fake.live.values():
                    if told["order_ref"] == client_order_id:
                        return Standing(
                            open=told["status"] in ibkr.WORKING,
                            quantity=told["totalSize"],
                            limit_price=_maybe(told.get("price")),
                        )
                return None

            yield Rig(
                broker=IbkrBroker.open(ibkr_settings(fake)),
                symbol=f"AAPL@{ibkr.APPLE}",
                price=fake.price,
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(ticket["cOID"] == ours for ticket in fake.sent),
                at_broker=at_broker,
                secrets=tuple(value for name, value in keys.settings.items() if name != "consumer_key"),
                exact_symbol=f"TINY@{ibkr.TINY}",
                set_price=lambda text: setattr(fake, "price", Decimal(text)),
                set_cash=lambda text: fake.cash.update(dict.fromkeys(fake.cash, Decimal(text))),
                root="ES",
            )
            assert set(fake.violations) <= {"RSA signature"}  # of the wrong key
            ibkr_session.close_shared()
            http.close_shared()

    def make_exact(self, rig: Rig) -> None:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        rig.server.most = Decimal("Infinity")

    def make_ask(self, rig: Rig) -> None:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        rig.server.questions = [ibkr.QUESTION]

    def make_odd(self, rig: Rig, client_order_id: str) -> None:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        for told in rig.server.live.values():
            if told["order_ref"] == client_order_id:
                told["status"] = "Levitating"

    def with_wrong_key(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        return IbkrBroker.open(ibkr_settings(rig.server, signature_key=ibkr.make_keys().settings["signature_key"]))

    def without_secret(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        return IbkrBroker.open(ibkr_settings(rig.server, signature_key=""))


@cache
def _ibkr_keys() -> ibkr.Keys:
    return ibkr.make_keys()


class CrossTradeCase(Case):
    name = "crosstrade"
    adapter = CrossTradeBroker
    sending = SENDING
    sends = {
        Way.SUBMIT: ("POST", f"{crosstrade.BASE}/accounts/{crosstrade.ACCOUNT}/orders/place"),
        Way.CANCEL: ("POST", f"{crosstrade.BASE}/accounts/{crosstrade.ACCOUNT}/orders/"),
    }
    keeps_broker_id = False

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with crosstrade.FakeCrossTrade() as fake:

            def at_broker(client_order_id: str) -> Standing | None:
                told = fake.orders.get(client_order_id)
                if told is None:
                    return None
                return Standing(
                    open=told["orderState"] == "Working",
                    quantity=Decimal(told["quantity"]),
                    limit_price=_maybe(told["limitPrice"]),
                )

            yield Rig(
                broker=CrossTradeBroker.open(crosstrade_settings(fake)),
                symbol="ES 12-26",
                price=fake.last,
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(ticket["orderId"] == ours for ticket in fake.sent),
                at_broker=at_broker,
                secrets=(crosstrade.TOKEN,),
                exact_symbol="ES 12-26",
                set_price=lambda text: setattr(fake, "last", Decimal(text)),
                set_cash=lambda text: setattr(fake, "cash", Decimal(text)),
                tells_absence=False,
            )
            assert fake.violations == []
            http.close_shared()

    def make_exact(self, rig: Rig) -> None:
        assert isinstance(rig.server, crosstrade.FakeCrossTrade)
        rig.server.tick, rig.server.most = Decimal("1E-18"), 10**38

    def make_odd(self, rig: Rig, client_order_id: str) -> None:
        assert isinstance(rig.server, crosstrade.FakeCrossTrade)
        rig.server.orders[client_order_id]["orderState"] = "Levitating"

    def with_wrong_key(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, crosstrade.FakeCrossTrade)
        return CrossTradeBroker.open(crosstrade_settings(rig.server, token="another"))

    def without_secret(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, crosstrade.FakeCrossTrade)
        return CrossTradeBroker.open(crosstrade_settings(rig.server, token=""))


class TemplateCase(Case):
    name = "template"
    adapter = TemplateBroker

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with template.FakeTemplate() as fake:
            yield Rig(
                broker=TemplateBroker.open({"token": template.TOKEN, "base_url": fake.url}),
                symbol="ACME",
                price=fake.last,
                quantity=Decimal(2),
                fake=fake,
            )
            http.close_shared()


class TwsCase(Case):
    """Without credentials, and with a wire of its own on which there is no status code."""

    name = "tws"
    adapter = TwsBroker
    sending = tuple(each for each in SENDING if each.kind in tws.FAULTS)
    sends = {
        Way.SUBMIT: ("SEND", "order"),
        Way.CANCEL: ("SEND", "cancel"),
        Way.REPLACE: ("SEND", "change"),
        Way.BRACKET: ("SEND", "order"),
        Way.OTO: ("SEND", "order"),
    }
    tells_duplicates = False
    read_digits = 15

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with tws.FakeTws() as fake:

            def at_broker(client_order_id: str) -> Standing | None:
                told = fake.orders.get(client_order_id)
                if told is None:
                    return None
                return Standing(
                    open=told["status"] in ("PreSubmitted", "Submitted"),
                    quantity=Decimal(told["quantity"]),
                    limit_price=_maybe(told["limit"]),
                )

            where = {"host": "127.0.0.1", "port": fake.port, "client_id": 7, "timeout": lasting(0.4)}
            yield Rig(
                broker=TwsBroker.open(where),
                symbol="AAPL@265598",
                price=fake.price,
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(said[26] == ours for said in fake.sent),
                at_broker=at_broker,
                secrets=(tws.ACCOUNT,),
                exact_symbol="AAPL@265598",
                set_price=lambda text: setattr(fake, "price", Decimal(text)),
                set_cash=lambda text: setattr(fake, "cash", text),
                tells_absence=False,
            )
            tws_line.close_shared()

    def make_exact(self, rig: Rig) -> None:
        assert isinstance(rig.server, tws.FakeTws)
        rig.server.tick = "1E-18"

    def make_odd(self, rig: Rig, client_order_id: str) -> None:
        assert isinstance(rig.server, tws.FakeTws)
        rig.server.orders[client_order_id] |= {"status": "Levitating", "listed": True}


OKX = CryptoCase(
    "okx",
    _Venue(
        fake=okx.OkxFake,
        adapter=OkxBroker,
        perpetual="BTC/USDT:USDT",
        root="BTC",
        order_path="/api/v5/trade/order",
        cancel=("POST", "/api/v5/trade/cancel-order"),
        sends={
            Way.REPLACE: ("POST", "/api/v5/trade/amend-order"),
            Way.OCO: ("POST", "/api/v5/trade/order-algo"),
            **dict.fromkeys((Way.BRACKET, Way.OTO), ("POST", "/api/v5/trade/order")),
        },
        settings={
            "api_key": okx.KEY,
            "secret": okx.SECRET,
            "passphrase": okx.PASSPHRASE,
            "environment": "paper",
        },
    ),
)

BINANCE = CryptoCase(
    "binance",
    _Venue(
        fake=binance.BinanceFake,
        adapter=BinanceBroker,
        order_path="/api/v3/order",
        cancel=("DELETE", "/api/v3/order"),
        sends={
            Way.REPLACE: ("POST", "/api/v3/order/cancelReplace"),
            Way.OCO: ("POST", "/api/v3/orderList/oco"),
            Way.OTO: ("POST", "/api/v3/orderList/opo"),
            Way.BRACKET: ("POST", "/api/v3/orderList/opoco"),
        },
        settings={"api_key": binance.KEY, "secret": binance.SECRET, "environment": "paper"},
    ),
)

KRAKEN = CryptoCase(
    "kraken",
    _Venue(
        fake=kraken.KrakenFake,
        adapter=KrakenBroker,
        symbol="BTC/USD",
        exact_symbol="TINY/USD",
        order_path="/0/private/AddOrder",
        cancel=("POST", "/0/private/CancelOrder"),
        sends={Way.REPLACE: ("POST", "/0/private/AmendOrder"), Way.OTO: ("POST", "/0/private/AddOrder")},
        settings={"api_key": kraken.KEY, "secret": kraken.SECRET, "environment": "live"},
        wrong_secret="d3Jvbmc=",
    ),
    names_exits=False,
)

COINBASE = CryptoCase(
    "coinbase",
    _Venue(
        fake=coinbase.CoinbaseFake,
        adapter=CoinbaseBroker,
        symbol="BTC/USD",
        exact_symbol="TINY/USD",
        order_path="/api/v3/brokerage/orders",
        cancel=("POST", "/api/v3/brokerage/orders/batch_cancel"),
        sends={
            Way.REPLACE: ("POST", "/api/v3/brokerage/orders/edit"),
            Way.BRACKET: ("POST", "/api/v3/brokerage/orders"),
            Way.OCO: ("POST", "/api/v3/brokerage/orders"),
        },
        settings={"api_key": coinbase.KEY, "secret": coinbase.SECRET, "environment": "live"},
        wrong_secret=coinbase.WRONG_SECRET,
        market_by_units=False,
    ),
    without=("duplicate",),
    tells_duplicates=False,
    names_exits=False,
)

KRAKEN_FUTURES = CryptoCase(
    "krakenfutures",
    _Venue(
        fake=krakenfutures.KrakenFuturesFake,
        adapter=KrakenFuturesBroker,
        symbol="BTC/USD:USD",
        exact_symbol="TINY/USD:USD",
        perpetual="BTC/USD:USD",
        root="BTC",
        order_path="/derivatives/api/v3/sendorder",
        cancel=("POST", "/derivatives/api/v3/cancelorder"),
        settings={"api_key": krakenfutures.KEY, "secret": krakenfutures.SECRET, "environment": "paper"},
        wrong_secret="d3Jvbmc=",
    ),
)

CRYPTO = (OKX, BINANCE, KRAKEN, COINBASE, KRAKEN_FUTURES)
"""Those whose fakes list an instrument with 18 decimals."""
CASES: tuple[Case, ...] = (PaperCase(), AlpacaCase(), IbkrCase(), CrossTradeCase(), TwsCase(), *CRYPTO)
TEMPLATE = TemplateCase()
"""Where a new adapter begins; held to the first half alone."""
WIRED = tuple(case for case in CASES if case.sending)
"""Those that speak over a network."""
ODD = tuple(case for case in WIRED if type(case).make_odd is not Case.make_odd)
"""Those whose fakes can use a word that nobody knows."""
KEYED = tuple(case for case in WIRED if case.name != "tws")
"""Those that are opened with a credential."""
