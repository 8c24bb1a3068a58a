"""Every page of the console, with something on it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.alerts import intake as alerts
from console.alerts.models import Alert
from console.audit.models import Change
from console.clients import registration
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.halts import services as halts
from console.journal import notes, sync
from console.journal.models import RoundTrip
from console.keys import management_keys, minting
from console.notifications import channels, delivery_log, news
from console.notifications.models import NotificationChannel
from console.notifications.senders import webhook
from console.orders.models import Confirmation, Order, OutsideOrder, StandingRule
from console.plans import preparing as plan_preparing
from console.recent_errors import rollup
from console.recent_errors.models import ErrorGroup
from console.scopes import Scope
from console.signals.models import SenderProof, SignalAddress
from tests.brokers.paper.support import order as paper_order
from tests.console.orders import rule_steps
from tests.console.pages import log
from tests.console.plans import steps as plan_steps
from tests.console.signals import steps as signal_steps

READ = frozenset({Scope.READ})


@pytest.fixture
def pages(owner: User, paper: Connection, app: ConnectedApp, order: Order, trade: RoundTrip) -> dict[str, str]:
    """Every address of the console, by what it shows; each with something on it."""
    plan = plan_preparing.prepare_plan(plan_steps.principal_of(app), plan_steps.twap())
    key, _ = minting.mint(owner, paper, READ, name="nightly-report")
    management, _ = management_keys.mint(owner, name="terraform", expires_at=None)
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=READ
    )
    halt = halts.halt_connection(paper, by=app, reason="<b>Enough</b>")
    call = log(app, tool="place_order", outcome="refused", code="insufficient_funds", arguments={"symbol": "<b>"})
    rollup.catch_up()
    return {
        "home": "/",
        "portfolio": "/portfolio/",
        "connections": "/connections/",
        "add a connection": "/connections/add/",
        "link okx": "/connections/add/okx/",
        "link coinbase": "/connections/add/coinbase/",
        "unlink a connection": f"/connections/{paper.pk}/unlink/",
        "a connection": f"/connections/{paper.pk}/",
        "limits of a connection": f"/connections/{paper.pk}/limits/",
        "limits of an app": f"/apps/{app.pk}/limits/",
        "signals": "/signals/",
        "a signal address": f"/signals/{signal_address(owner, paper).public_id}/",
        "new signal address": "/signals/new/",
        "halts": "/halts/",
        "alerts": "/alerts/",
        "new alert": "/alerts/new/",
        "an alert": f"/alerts/{an_alert(paper, app).public_id}/",
        "lift a halt": f"/halts/{halt.pk}/lift/",
        "apps": "/apps/",
        "an app": f"/apps/{app.pk}/",
        "revoke an app": f"/apps/{app.pk}/revoke/",
        "keys": "/keys/",
        "leaked key": "/keys/leaked/",
        "new key": "/keys/new/",
        "revoke a key": f"/keys/{key.public_id}/revoke/",
        "replace a key": f"/keys/{key.public_id}/rotate/",
        "what a key did": f"/keys/{key.public_id}/activity/",
        "revoke a management key": f"/keys/manage/{management.public_id}/revoke/",
        "clients": "/clients/",
        "new client": "/clients/new/",
        "a client": f"/clients/{client.pk}/",
        "delete a client": f"/clients/{client.pk}/delete/",
        "orders": "/orders/",
        "an order": f"/orders/{order.public_id}/",
        "made elsewhere": f"/orders/elsewhere/{made_elsewhere(paper).pk}/",
        "approvals": "/orders/approvals/",
        "an approval": f"/orders/approvals/{order.confirmation.public_id}/",
        "a way out": f"/orders/closing/{paper.pk}/",
        "plans": "/plans/",
        "a plan": f"/plans/{plan.public_id}/",
        "timeline": "/timeline/",
        "counts": "/timeline/counts/",
        "search": "/search/?q=AAPL",
        "a replay": f"/timeline/orders/{order.public_id}/",
        "a change": f"/timeline/change/{Change.objects.filter(owner_id=owner.pk).latest('pk').pk}/",
        "standing rules": "/orders/approvals/rules/",
        "a new standing rule": f"/orders/approvals/rules/new/{paper.pk}/",
        "a standing rule": f"/orders/approvals/rules/{standing_rule(paper, owner).public_id}/",
        "a call": f"/activity/{call.request_id}/",
        "errors": "/errors/",
        "an error": f"/errors/{ErrorGroup.objects.get().pk}/",
        "security": "/security/",
        "notifications": "/notifications/",
        "topic of ntfy": "/notifications/ntfy/",
        "messages to a channel": f"/notifications/channels/{webhook_channel(owner).pk}/",
        "webhook": "/notifications/webhook/",
        "change password": "/security/password/",
        "add app": "/security/app/",
        "add passkey": "/security/passkey/",
        "journal": "/journal/",
        "a trade": f"/journal/{trade.public_id}/",
        "a performance": f"/connections/{paper.pk}/performance/",
        "a list of practice accounts": f"/connections/{paper.pk}/practice/",
        "a new practice account": f"/connections/{paper.pk}/practice/new/",
        "a reset": f"/connections/{paper.pk}/practice/{paper.default_account}/reset/",
        "a practice account's terms": f"/connections/{paper.pk}/practice/{paper.default_account}/model/",
        "developers": "/developers/",
        "tools": "/docs/tools/",
        "connect": "/connect/",
        "setup guide": "/connect/cursor/",
        "playground": "/playground/",
    }


def webhook_channel(owner: User) -> NotificationChannel:
    """It was sent a message, which it did not take."""
    channel = channels.add_webhook(owner, url="https://hooks.example.com/desk", secret=webhook.new_secret())
    mail = news.enqueue(channel, news.Message("halt", "<b>Halted</b>", "", "/halts/"), good_for=timedelta(hours=1))
    words = "Your server answered 503"
    delivery_log.record(mail, channel, at=timezone.now(), milliseconds=41, status=503, words=words)
    return channel


def signal_address(owner: User, connection: Connection) -> SignalAddress:
    """It has had a signal."""
    address = signal_steps.address(owner, connection, proof=SenderProof.SIGNATURE).address
    signal_steps.refused(address)
    return address


def an_alert(connection: Connection, app: ConnectedApp) -> Alert:
    """With a note that means harm."""
    asked = {"kind": "price", "symbol": "AAPL", "condition": "above", "value": Decimal(1), "note": "<b>Sell</b>"}
    return alerts.create(connection, asked, app=app).alert


def standing_rule(connection: Connection, owner: User) -> StandingRule:
    """Made while its owner approved each order there, and ended with that."""
    connections.set_policy(connection, Policy.OWNER_APPROVAL, by=owner)
    rule = rule_steps.make(connection, owner, name="<b>Buys</b>")
    connections.set_policy(connection, Policy.TWO_STEP, by=owner, may_loosen=True)
    return rule


def made_elsewhere(connection: Connection) -> OutsideOrder:
    return OutsideOrder.objects.create(
        connection=connection,
        account_id=connection.default_account,
        broker_order_id="B-1",
        client_order_id="<b>by hand</b>",
        status="working",
        symbol="AAPL",
        filled_quantity=0,
        seen_at=timezone.now(),
    )


@pytest.fixture
def trade(paper: Connection) -> RoundTrip:
    return traded(paper)


def traded(paper: Connection) -> RoundTrip:
    """One round trip with what led to it, and a note that means harm."""
    broker = PaperBroker.open(paper.settings)
    for side in ("BUY", "SELL"):
        broker.submit(paper.default_account, paper_order(side, "1", "BTC/USD"))
    sync.sync_connection(paper)
    found = RoundTrip.objects.get(connection=paper)
    notes.add(paper.pk, found.public_id, "<b>Sold too soon</b>", ["<i>haste</i>"], by="Claude", app_id=1)
    return found


@pytest.fixture
def order(app: ConnectedApp) -> Order:
    return prepared_order(app)


def prepared_order(app: ConnectedApp) -> Order:
    """One that waits for its confirmation."""
    now = timezone.now()
    confirmation = Confirmation.objects.create(
        public_id="cnf_1",
        app=app,
        terms={"summary": "Buy 10 AAPL.", "price": "181.5"},
        terms_digest="0" * 64,
        created_at=now,
        expires_at=now + timedelta(seconds=120),
    )
    return Order.objects.create(
        public_id="ord_1",
        connection=app.connection,
        app=app,
        confirmation=confirmation,
        account_id="PAPER-1",
        client_order_id="mine-1",
        wire_id="0" * 32,
        symbol="AAPL",
        asset_class="stock",
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="DAY",
        quantity="10",
        limit_price="181.5",
        shown_price="181.5",
        status="awaiting_confirmation",
        created_at=now,
        moved_at=now,
    )
