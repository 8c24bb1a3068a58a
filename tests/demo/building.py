"""Build the demo's data, in a process of its own whose clock can be set: ``python -m tests.demo.building ADDRESS``.

``ADDRESS`` is the broker's. Prints one JSON object: how to get in, and the keys that keep something waiting.
"""

import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from tests import prepared as databases

from tests.demo.clock import CLOCK  # isort: skip - first of all: others keep hold of the clock

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.conf import settings  # noqa: E402 - after django.setup()
from django.db import connection as database  # noqa: E402
from django.db import connections  # noqa: E402

from brokers.ibkr.adapter import IbkrBroker  # noqa: E402
from brokers.paper import tasks as paper_tasks  # noqa: E402
from brokers.paper.adapter import PaperBroker  # noqa: E402
from brokers.types import BrokerOrder, Environment, OrderRequest  # noqa: E402
from console import ids  # noqa: E402
from console.accounts.models import User  # noqa: E402
from console.alerts import evaluation, intake  # noqa: E402
from console.alerts import services as alerts  # noqa: E402
from console.authority import bearer  # noqa: E402
from console.connected_apps import grants  # noqa: E402
from console.connected_apps.models import ConnectedApp  # noqa: E402
from console.connections import health, linking  # noqa: E402
from console.connections import services as connections_services  # noqa: E402
from console.connections.link_specs import KINDS  # noqa: E402
from console.connections.models import Connection, Policy  # noqa: E402
from console.halts import services as halts  # noqa: E402
from console.halts.services import Proof  # noqa: E402
from console.journal import sync  # noqa: E402
from console.keys import minting  # noqa: E402
from console.limits import NONE, Limits  # noqa: E402
from console.onboarding import connection_lifecycle, quickstart  # noqa: E402
from console.orders.execution import reconcile  # noqa: E402
from console.orders.models import Confirmation, Order  # noqa: E402
from console.orders.owner import approvals, notifications  # noqa: E402
from console.plans import deciding  # noqa: E402
from console.plans import execution as plan_execution  # noqa: E402
from console.principal import Principal  # noqa: E402
from console.scopes import Scope  # noqa: E402
from console.signals import addresses as signal_addresses  # noqa: E402
from console.signals import intake as signal_intake  # noqa: E402
from console.signals import preparing as signal_preparing  # noqa: E402
from console.signals.intake import Delivery  # noqa: E402
from console.signals.mapping import Template  # noqa: E402
from console.signals.models import SenderProof  # noqa: E402
from console.toolsets import ON_BY_DEFAULT, Toolset  # noqa: E402
from mcpserver import pipeline  # noqa: E402
from tests.brokers.faults import Fault, as_control  # noqa: E402
from tests.brokers.ibkr.fake import QUESTION  # noqa: E402
from tests.demo.broker import REFUSED, control, wait_until  # noqa: E402

DAYS = 30
TRADE = frozenset({Scope.READ, Scope.TRADE})
MARKET = ("AAPL", "MSFT", "NVDA", "SPY", "BTC/USD")
_SIZES = {"AAPL": "10", "MSFT": "5", "NVDA": "8", "SPY": "4", "BTC/USD": "0.2"}
_dice = random.Random(30)  # noqa: S311 - the same month each time


@dataclass(frozen=True, slots=True)
class App:
    """An app with its key; each call is the gate's, under the app as it is at that moment."""

    key: str

    @property
    def principal(self) -> Principal:
        return bearer.authenticate(self.key, ip="127.0.0.1", user_agent="demo")

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        try:
            return pipeline.call(self.principal, tool, arguments, request_id=ids.new("req")).content
        except pipeline.UnknownTool:
            return {}

    def place(self, symbol: str, side: str, quantity: str, **more: Any) -> dict[str, Any]:
        return self.call("place_order", symbol=symbol, side=side, quantity=quantity, **more)

    def trade(self, symbol: str, side: str, quantity: str, **more: Any) -> dict[str, Any]:
        """Prepared, and confirmed at once."""
        return self.confirm(self.place(symbol, side, quantity, **more))

    def confirm(self, prepared: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("confirm_trade", confirmation_id=prepared["confirmation_id"])


def main() -> None:
    now = datetime.now(UTC)
    start = now - timedelta(days=DAYS)
    CLOCK.set(start)
    databases.migrate()
    prepared = quickstart.prepare()
    owner = User.objects.get(email=prepared.username)
    practice = Connection.objects.get(owner=owner)
    claude = App(_mint(owner, practice, "Claude"))
    reader = App(_mint(owner, practice, "Morning report", frozenset({Scope.READ})))

    _a_month(claude, reader, practice, start, now)
    _lapsed_and_expired(claude, practice, now)
    at_ibkr = _interactive_brokers(owner, sys.argv[1], now)
    CLOCK.set(datetime.now(UTC))
    _paper_statuses(owner, claude, practice)
    _a_crash(claude, at="before it was sent")
    _a_crash(claude, at="while it was sent")
    approving = _approvals(owner)
    _signals(owner, practice)
    _errors(owner, claude, reader, practice, at_ibkr)
    for each in Connection.objects.filter(owner=owner):
        # Something new waits every two minutes, and without a mail server each letter is written to the terminal.
        notifications.set_enabled(each, on=False, by=owner)
    _look(practice)
    _say(prepared, approving, at_ibkr)


def _signals(owner: User, practice: Connection) -> None:
    """Two addresses: one with signals of every outcome, one that asks for a signature."""
    template = Template(secret="secret", quantity="quantity", time="time", instruments={"NASDAQ:AAPL": "AAPL"})
    wanted = signal_addresses.AddressTerms(
        name="Breakout on TradingView", proof=SenderProof.BODY, template=template, most_value=Decimal(5000)
    )
    made = signal_addresses.make(owner, practice, wanted)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"secret": made.secret, "symbol": "NASDAQ:AAPL", "side": "buy", "quantity": "2", "time": at}
    for changed in ({}, {}, {"secret": "wrong"}, {"symbol": "NASDAQ:TSLA"}, {"quantity": "900"}, {"side": "hold"}):
        body = json.dumps({**told, **changed}).encode()
        delivery = Delivery(part=made.part, body=body, content_type="application/json", ip="52.89.214.238")
        signal_intake.receive(replace(delivery, user_agent="Go-http-client/1.1", request_id=ids.new("req")))
    signal_preparing.prepare_due()
    signed = replace(template, secret="")
    signal_addresses.make(
        owner, practice, replace(wanted, name="nightly-rebalancer", proof=SenderProof.SIGNATURE, template=signed)
    )


def _say(prepared: quickstart.QuickstartResult, approving: App, at_ibkr: App) -> None:
    told = {"email": prepared.username, "password": prepared.password}
    print(json.dumps({**told, "approving": approving.key, "asking": at_ibkr.key}))  # noqa: T201 - the result


def _mint(owner: User, connection: Connection, name: str, scopes: frozenset[Scope] = TRADE) -> str:
    _, secret = minting.mint(owner, connection, scopes, name=name)
    return secret


def _look(connection: Connection) -> None:
    """What the worker does each minute: equity, fills, round trips."""
    health.check(connection)
    while not sync.sync_connection(connection):
        continue


# -- a month ---------------------------------------------------------------------------------------------------------


def _beat() -> None:
    """What the schedule does every two seconds."""
    paper_tasks.match_resting()
    reconcile.sweep()


def _a_month(claude: App, reader: App, connection: Connection, start: datetime, now: datetime) -> None:
    for day in range(DAYS - 1):
        morning = start + timedelta(days=day, minutes=_dice.randrange(60))
        symbol = MARKET[day % len(MARKET)]
        CLOCK.set(morning)
        reader.call("get_portfolio")
        claude.call("get_quote", symbols=[symbol])
        claude.trade(symbol, "BUY", _SIZES[symbol])
        _look(connection)
        CLOCK.set(morning + timedelta(hours=_dice.randrange(2, 9)))
        if day % 4 != 3:  # some positions are held overnight and added to
            claude.confirm(claude.call("close_position", symbol=symbol))
        _beat()
        _look(connection)
    trades = claude.call("get_journal_trades")["trades"]
    for trade, note in zip(trades, ("Held too long.", "As planned.", "Entered late; size was right."), strict=False):
        claude.call("add_journal_note", id=trade["trade_id"], text=note, tags=["review"])


def _lapsed_and_expired(claude: App, connection: Connection, now: datetime) -> None:
    CLOCK.set(now - timedelta(days=2))
    claude.place("AAPL", "BUY", "3")
    claude.trade("AAPL", "BUY", "2", order_type="LMT", limit_price="20", tif="DAY")
    CLOCK.set(now - timedelta(hours=20))
    _beat()
    _look(connection)


# -- now -------------------------------------------------------------------------------------------------------------


def _paper_statuses(owner: User, claude: App, practice: Connection) -> None:
    """Working, cancelled and denied; and partly filled, where a bar has not enough for all of it."""
    claude.trade("MSFT", "BUY", "2", order_type="LMT", limit_price="40", tif="GTC")
    claude.trade("BTC/USD", "BUY", "0.05", order_type="LMT", limit_price="900", tif="GTC")
    resting = claude.trade("SPY", "BUY", "1", order_type="LMT", limit_price="30", tif="GTC")
    claude.call("cancel_order", order_id=resting["order"]["order_id"])

    too_large = claude.place("NVDA", "BUY", "3")
    connections_services.set_limits(practice, Limits(order_notional=Decimal(50)), by=owner)
    claude.confirm(too_large)
    connections_services.set_limits(practice, NONE, by=owner, may_widen=True)

    thin, _ = connection_lifecycle.open_paper(owner, name="Thin market", starting_cash=Decimal(10) ** 10, preset="thin")
    App(_mint(owner, thin, "Claude")).trade("BTC/USD", "BUY", "50000", order_type="LMT", limit_price="90000", tif="GTC")


def _a_crash(claude: App, *, at: str) -> None:
    """The process that releases an order ends in the middle, as in a power cut. Nobody carries the order on: the demo
    runs with a lease of a day."""
    prepared = claude.place("AAPL", "BUY", "1")
    connections.close_all()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if at == "before it was sent":
            database.execute_wrappers.append(_end_before_sending)
        else:
            mock.patch.object(PaperBroker, "submit", lambda *args: os._exit(0)).start()
        claude.confirm(prepared)
    finally:
        os._exit(1)


def _end_before_sending(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    values = params.values() if isinstance(params, Mapping) else params or ()
    if sql.startswith("UPDATE") and "orders_order" in sql and "sending" in values:
        os._exit(0)
    return execute(sql, params, many, context)


def _interactive_brokers(owner: User, address: str, now: datetime) -> App:
    """A gateway on loopback that refuses, hides and loses what it is told to."""
    CLOCK.set(now - timedelta(hours=2))
    gateway = linking.link(
        owner,
        KINDS["ibkr-gateway"],
        name="Interactive Brokers",
        environment=Environment.PAPER,
        own={"base_url": f"{address}/v1/api"},
        secrets={},
        limits=NONE,
        trading_enabled=True,
    )
    app = App(_mint(owner, gateway, "Claude"))
    order = {"order_type": "LMT", "limit_price": "190"}

    def broken(kind: str, quantity: str) -> None:
        control(address, "faults", as_control(Fault(kind=kind, effect=False)))
        prepared = app.place("AAPL", "BUY", quantity, **order)
        app.confirm(prepared)
        control(address, "faults", [])

    broken("cut", "3")
    control(address, "questions", [QUESTION])
    app.trade("AAPL", "BUY", "650", order_type="LMT", limit_price="192.30", tif="GTC")
    control(address, "questions", [])
    CLOCK.set(now - timedelta(hours=1))
    reconcile.sweep()  # long after: the broker does not know the first, and nobody answered about the second
    CLOCK.set(datetime.now(UTC))
    app.trade("AAPL", "BUY", "4", **order)
    app.trade("AAPL", "BUY", REFUSED, **order)
    _while_away(address, lambda: app.trade("AAPL", "BUY", "6", **order))
    broken("cut", "7")
    health.check(gateway)
    return app


def _while_away(address: str, act: Callable[[], object]) -> None:
    """The gateway is stopped between the last check of an order and its sending."""
    submit = IbkrBroker.submit

    def to_nobody(broker: IbkrBroker, account_id: str, request: OrderRequest) -> BrokerOrder:
        control(address, "leave", 3)
        wait_until(address, listens=False)
        return submit(broker, account_id, request)

    with mock.patch.object(IbkrBroker, "submit", to_nobody):
        act()
    wait_until(address, listens=True)


def _approvals(owner: User) -> App:
    """A connection whose owner approves each order: one approved, one rejected; what waits is the demo's business."""
    mine, _ = connection_lifecycle.open_paper(owner, name="I approve each order", starting_cash=Decimal(50_000))
    connections_services.set_policy(mine, Policy.OWNER_APPROVAL, by=owner)
    connections_services.set_limits(
        mine, Limits(order_notional=Decimal(5_000), daily_notional=Decimal(20_000)), by=owner
    )
    app = App(_mint(owner, mine, "Claude"))
    refused = _confirmation(app.place("AAPL", "BUY", "2"))
    app.call("confirm_trade", confirmation_id=refused.public_id)
    evidence = approvals.Evidence(proof=Proof.PASSWORD, label="password", ip="127.0.0.1")
    waiting = _confirmation(app.place("MSFT", "BUY", "1"))
    approvals.approve(waiting, by=owner, evidence=evidence, seen=waiting.terms_digest)
    approvals.reject(
        _confirmation(app.place("NVDA", "BUY", "2")), by=owner, reason="size", words="Half of it is enough"
    )
    app.place("SPY", "BUY", "5000")
    return app


def _confirmation(prepared: Mapping[str, Any]) -> Confirmation:
    found: Confirmation = Order.objects.get(public_id=prepared["order"]["order_id"]).confirmation
    return found


# -- errors ----------------------------------------------------------------------------------------------------------


def _set_alerts(connection: Connection, app: ConnectedApp) -> None:
    """Active, fired, switched off, waiting; and a message of the app."""
    asked: list[tuple[dict[str, Any], ConnectedApp | None]] = [
        ({"kind": "price", "symbol": "BTC/USD", "condition": "above", "value": Decimal(1), "repeats": True}, app),
        ({"kind": "price", "symbol": "BTC/USD", "condition": "above", "value": Decimal(2), "note": "Twice"}, app),
        ({"kind": "indicator", "symbol": "BTC/USD", "indicator": "EMA(20)", "against": "EMA(50)", "bar": "1h"}, app),
        ({"kind": "drawdown", "condition": "above", "value": Decimal(10)}, None),
        ({"kind": "profit", "symbol": "MSFT", "condition": "below", "value": Decimal(-500)}, None),
        ({"kind": "connection", "repeats": True}, None),
    ]
    for given, by in asked:
        crosses = {"condition": "crosses"} if given["kind"] == "indicator" else {}
        intake.create(connection, given | crosses, app=by)
    alerts.cancel(intake.create(connection, asked[0][0], app=None).alert, app=None)
    evaluation.run()
    alerts.emit(app, "The weekly report is ready: two positions gained, one lost.")


def _plans(owner: User, claude: App, app: ConnectedApp) -> None:
    """One that runs and has sent its first order, one that its owner paused, one that was discarded."""
    grants.set_toolsets(app, ON_BY_DEFAULT | {Toolset.ALGO}, by=owner, may_widen=True)
    evenly: dict[str, Any] = {"kind": "twap", "symbol": "BTC/USD", "side": "BUY", "quantity": "0.06"}
    monthly: dict[str, Any] = {"kind": "dca", "symbol": "SPY", "notional": "250", "every": "month", "orders": 12}
    claude.confirm(claude.call("prepare_plan", **evenly, orders=6, minutes=50, silent_minutes=600))
    paused = claude.call("prepare_plan", **monthly)
    claude.confirm(paused)
    dropped = claude.call("prepare_plan", **monthly)
    claude.call("discard_confirmation", confirmation_id=dropped["confirmation_id"])
    deciding.pause(deciding.own(claude.principal, paused["plan"]["plan_id"]), by=owner.email, user=owner)
    plan_execution.sweep()


def _errors(owner: User, claude: App, reader: App, practice: Connection, at_ibkr: App) -> None:
    """Refused calls of each kind: the caller's, the owner's switches and limits, the broker's."""
    for tool, arguments in (
        ("buy_stock", {}),
        ("get_quote", {"ticker": "AAPL"}),
        ("get_quote", {}),
        ("get_history", {"symbol": "AAPL", "bar": "2 weeks"}),
        ("get_quote", {"symbols": ["AAPLE"]}),
        ("get_positions", {"account_id": "nobody"}),
        ("get_order_status", {"order_id": "ord_nothing"}),
        ("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "0.5"}),
        ("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "100000"}),
        ("place_order", {"symbol": "MSFT", "side": "SELL", "quantity": "9999"}),
        ("close_position", {"symbol": "TSLA"}),
        ("confirm_trade", {"confirmation_id": "cnf_nothing"}),
        ("get_option_chain", {"symbol": "AAPL", "expiration": "2027-01-15"}),
    ):
        claude.call(tool, **arguments)
    reader.place("AAPL", "BUY", "1")
    used = claude.place("AAPL", "BUY", "1", client_order_id="demo-1")
    claude.confirm(used)
    claude.confirm(used)
    claude.place("AAPL", "BUY", "2", client_order_id="demo-1")
    filled = Order.objects.filter(connection=practice, status="filled").latest("pk")
    claude.call("cancel_order", order_id=filled.public_id)
    at_ibkr.call("get_quote", symbols=["TWIN"])

    app = ConnectedApp.objects.get(pk=claude.principal.app_id)
    grants.set_toolsets(app, ON_BY_DEFAULT - {Toolset.JOURNAL}, by=owner)
    claude.call("get_journal_trades")
    grants.set_toolsets(app, ON_BY_DEFAULT, by=owner, may_widen=True)
    _set_alerts(practice, app)
    _plans(owner, claude, app)
    grants.pause(app, by=owner)
    claude.call("get_cash")
    grants.resume(app, by=owner)
    connections_services.pause(practice, by=owner)
    claude.call("get_cash")
    connections_services.resume(practice, by=owner)
    connections_services.disable_trading(practice, by=owner)
    claude.place("AAPL", "BUY", "1")
    connections_services.enable_trading(practice, by=owner)
    connections_services.set_limits(practice, Limits(order_notional=Decimal(50), symbols=frozenset({"AAPL"})), by=owner)
    claude.place("AAPL", "BUY", "5")
    claude.place("MSFT", "BUY", "1")
    connections_services.set_limits(practice, NONE, by=owner, may_widen=True)
    halt = halts.halt_connection(practice, by=owner, reason="Looking at something first")
    claude.place("AAPL", "BUY", "1")
    halts.lift(halt, by=owner, proof=Proof.PASSWORD)
    halts.halt_connection(practice, by=app, reason="The day's plan is done")
    claude.place("AAPL", "BUY", "1")


if __name__ == "__main__":
    assert settings.CALLS_PER_MINUTE > 1000, "a month of calls is made in a minute"
    main()
