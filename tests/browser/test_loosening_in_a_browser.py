"""What lets more happen with real money takes its owner's passkey, for that very act; what narrows takes nothing."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console import limits
from console.connections.models import Connection, Policy
from console.halts import services as halts
from console.halts.models import Halt
from tests.browser import proving
from tests.browser.steps import add_passkey, sign_in

LIMITS = {"order_notional": "1000", "daily_notional": "5000"}


@pytest.fixture
def live(paper: Connection) -> Connection:
    """The paper broker under a connection that says it is real money: every rule of a live one holds there."""
    Connection.objects.filter(pk=paper.pk).update(environment="live", policy="owner_approval", limits=LIMITS)
    paper.refresh_from_db()
    return paper


def without_credentials(authenticator: Any) -> None:
    session, number = authenticator
    session.send("WebAuthn.clearCredentials", {"authenticatorId": number})


def stands(halt: Halt) -> bool:
    halt.refresh_from_db()
    return halt.lifted_at is None


def order_limit(connection: Connection) -> str:
    connection.refresh_from_db()
    return str(connection.limited.order_notional)


def test_a_passkey_lifts_a_halt_over_real_money(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    halt = halts.halt_connection(live, by=owner)
    page.goto(f"{console}/halts/{halt.pk}/lift/")
    expect(page.get_by_text("This involves real money")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_count(0)
    page.get_by_role("button", name="Lift with passkey").click()
    expect(page.get_by_text("Halt lifted for")).to_be_visible()
    assert not stands(halt)


def test_without_a_passkey_a_halt_over_real_money_stands(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection
) -> None:
    sign_in(page, console, owner.email)
    halt = halts.halt_connection(live, by=owner)
    page.goto(f"{console}/halts/{halt.pk}/lift/")
    expect(page.get_by_text("you do not have one yet")).to_be_visible()
    expect(page.get_by_role("button", name="Lift")).to_have_count(0)
    assert stands(halt)


@pytest.mark.parametrize("lost", ["credential", "finger"])
def test_an_authenticator_that_proves_nobody_lifts_nothing(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection, lost: str
) -> None:
    session, number = authenticator
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    halt = halts.halt_connection(live, by=owner)
    if lost == "credential":
        without_credentials(authenticator)
    else:
        session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    page.goto(f"{console}/halts/{halt.pk}/lift/")
    page.get_by_role("button", name="Lift with passkey").click()
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_visible()
    assert stands(halt)


def test_a_wider_limit_on_real_money_takes_a_passkey_and_says_what_changes(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.goto(f"{console}/connections/{live.pk}/limits/")
    page.get_by_label("Value of one order").fill("2000")
    page.get_by_role("button", name="Save limits").click()
    expect(page.get_by_role("heading", name="Allow more than before?")).to_be_visible()
    expect(page.get_by_text("Value of one order: 1000 before, 2000 after.")).to_be_visible()
    assert order_limit(live) == "1000"
    proving.with_passkey(page)
    expect(page.get_by_text("The limits apply from the next order.")).to_be_visible()
    assert order_limit(live) == "2000"


def test_a_narrower_limit_takes_no_proof(page: Page, owner: Any, console: str, live: Connection) -> None:
    sign_in(page, console, owner.email)
    page.goto(f"{console}/connections/{live.pk}/limits/")
    page.get_by_label("Value of one order").fill("500")
    page.get_by_role("button", name="Save limits").click()
    expect(page.get_by_text("The limits apply from the next order.")).to_be_visible()
    assert order_limit(live) == "500"


def test_an_authenticator_that_is_gone_widens_no_limit(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    without_credentials(authenticator)
    page.goto(f"{console}/connections/{live.pk}/limits/")
    page.get_by_label("Value of one order").fill("2000")
    page.get_by_role("button", name="Save limits").click()
    proving.with_passkey(page)
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_visible()
    assert order_limit(live) == "1000"


def test_real_money_is_handed_to_the_assistant_only_with_a_passkey(
    page: Page, owner: Any, console: str, authenticator: Any, live: Connection
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.goto(f"{console}/connections/{live.pk}/")
    page.get_by_role("button", name="Let the assistant confirm").click()
    expect(page.get_by_role("heading", name="Let the assistant confirm?")).to_be_visible()
    live.refresh_from_db()
    assert live.policy == Policy.OWNER_APPROVAL
    proving.with_passkey(page)
    expect(page.get_by_text("Assistants confirm orders on Practice again")).to_be_visible()
    live.refresh_from_db()
    assert live.policy == Policy.TWO_STEP
    assert live.limited == limits.parse(LIMITS)
