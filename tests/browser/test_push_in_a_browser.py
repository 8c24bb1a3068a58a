"""From an order to its notification on the installed page, a tap, a passkey, and the broker.

Headless Chromium takes no subscription from a push service on loopback, so ``subscribe`` answers with keys of ours:
what our sender sends is decrypted with them, and that text goes to the page's service worker by the devtools.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from playwright.sync_api import BrowserContext, Page, Worker, expect, sync_playwright

from console.authority import bearer
from console.connections.models import Connection
from console.notifications.models import NotificationChannel
from console.orders import prepare as preparing
from console.orders import tasks
from console.orders.prepare import Prepared
from console.orders.states import Status
from tests.browser.conftest import FLAGS
from tests.browser.steps import add_passkey, reads_well, sign_in
from tests.console.notifications.listeners import Listener, Reply, listening
from tests.console.notifications.subscriber import Subscriber
from tests.console.orders.conftest import bitcoin
from tests.patience import at_most
from tests.serving import until

SUBSCRIBES = """(made) => {
    const subscription = {
        endpoint: made.endpoint, options: {}, toJSON: () => made, unsubscribe: async () => true,
    };
    PushManager.prototype.getSubscription = async () => (sessionStorage.enabled ? subscription : null);
    PushManager.prototype.subscribe = async (options) => {
        subscription.options = options;
        sessionStorage.enabled = "yes";
        window.subscribedWith = options;
        return subscription;
    };
}"""
SHOWN = """async () => (await self.registration.getNotifications()).map(
    ({title, body, tag, requireInteraction}) => ({title, body, tag, requireInteraction}))"""
TAP = """async () => {
    const [notification] = await self.registration.getNotifications();
    self.dispatchEvent(new NotificationEvent("notificationclick", {notification}));
}"""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[BrowserContext]:
    """One that keeps its profile: in a private one no worker may show anything."""
    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch_persistent_context(
            tmp_path, executable_path=program, args=FLAGS, viewport={"width": 390, "height": 844}
        )
        made.set_default_timeout(at_most(10) * 1000)
        expect.set_options(timeout=at_most(5) * 1000)
        yield made
        made.close()


@pytest.fixture
def service(settings: LazySettings) -> Iterator[Listener]:
    settings.NOTIFY_ADDRESSES, settings.NOTIFY_ADDRESSES_OF_EVERYBODY = ["127.0.0.1"], True
    with listening(Reply(201)) as listener:
        yield listener


def registration_of(page: Page) -> tuple[Any, str]:
    """A devtools session and what it calls the worker's registration."""
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(each["registrationId"] for each in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.ready.then(ready => ready.active.state === 'activated')")
    assert found
    return session, found[-1]


def shown_after_delivery(session: Any, worker: Worker, console: str, registration: str, text: str) -> Any:
    """The notifications of what is pushed."""

    def shown() -> Any:
        # Again, because one that is delivered while the worker starts on a busy computer may get lost.
        session.send(
            "ServiceWorker.deliverPushMessage", {"origin": f"{console}/", "registrationId": registration, "data": text}
        )
        return worker.evaluate(SHOWN)

    return until(shown, seconds=10, what="the notification")


def status(prepared: Prepared) -> Status:
    prepared.order.refresh_from_db()
    return prepared.order.state


def test_a_live_order_is_approved_from_a_notification(
    page: Page,
    owner: Any,
    console: str,
    authenticator: Any,
    paper: Connection,
    trade_key: str,
    service: Listener,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = {"order_notional": "90000", "daily_notional": "90000"}
    Connection.objects.filter(pk=paper.pk).update(environment="live", policy="owner_approval", limits=limits)
    subscriber = Subscriber(f"{service.url}/push/phone")
    page.context.grant_permissions(["notifications"], origin=console)
    page.add_init_script(f"({SUBSCRIBES})({json.dumps(subscriber.subscription)})")
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.goto(f"{console}/notifications/")
    with page.expect_navigation():  # the page loads itself anew once the device is kept
        page.get_by_role("button", name="Enable on this device").click()
    expect(page.get_by_text("This device", exact=True)).to_be_visible()
    assert NotificationChannel.objects.get().user == owner
    session, registration = registration_of(page)

    began = time.monotonic()
    prepared = preparing.prepare(bearer.authenticate(trade_key), bitcoin(limit="100"))
    tasks.tell_owners()
    [request] = service.received
    text = subscriber.read(request.body).decode()
    worker = page.context.service_workers[0]
    shown = shown_after_delivery(session, worker, console, registration, text)
    told = json.loads(text)
    assert shown == [
        {"title": told["title"], "body": told["body"], "tag": "approvals", "requireInteraction": True},
    ]
    assert shown[0]["title"] == "Approve: Buy 0.1 BTC/USD, limit 100.00 USD, day (LIVE, Test key mcp trade)"
    assert "(real money)" in shown[0]["body"]

    worker.evaluate(TAP)
    expect(page.get_by_role("heading", name="Buy 0.1 BTC/USD, limit 100.00 USD, day Live")).to_be_visible()
    assert status(prepared) is Status.AWAITING, "the tap alone does nothing"
    page.get_by_role("button", name="Approve with passkey").first.click()
    expect(page.get_by_text("Approved. The order is working.")).to_be_visible()
    took = time.monotonic() - began
    assert status(prepared) is Status.WORKING
    with capsys.disabled():
        sys.stdout.write(f"\nfrom prepare to working, by push, tap and passkey: {took:.1f} s\n")


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"path": "https://elsewhere.example/", "title": 5}'])
def test_whatever_is_pushed_leads_to_a_page_of_the_console(text: str, page: Page, owner: Any, console: str) -> None:
    page.context.grant_permissions(["notifications"], origin=console)
    sign_in(page, console, owner.email)
    page.goto(f"{console}/notifications/")
    session, registration = registration_of(page)
    page.goto(f"{console}/halts/")
    worker = page.context.service_workers[0]
    shown_after_delivery(session, worker, console, registration, text)
    worker.evaluate(TAP)
    page.wait_for_url(f"{console}/notifications/")


def test_the_page_is_in_order_for_everybody(page: Page, owner: Any, console: str, service: Listener) -> None:
    sign_in(page, console, owner.email)
    for url in ("/notifications/", "/notifications/ntfy/", "/notifications/webhook/"):
        page.goto(console + url)
        reads_well(page, 360, 390, 1320, 1920)
