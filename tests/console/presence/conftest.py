"""Every act that takes a proof, at its page: what is sent, and how one sees that it was done."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.audit.models import Change, ChangeCategory
from console.clients.models import Client, ReviewState
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.halts import services as halts
from console.keys import minting
from console.orders import prepare as preparing
from console.orders.models import Order
from console.plans import deciding
from console.plans import preparing as plan_preparing
from console.platforms import services
from console.scopes import Scope
from console.toolsets import Toolset
from tests.console.connections.fakes import ALL, Linkable
from tests.console.oauth.hosts import BOTH, REGISTRATIONS, Host, shown_on
from tests.console.orders import rule_steps
from tests.console.orders.conftest import bitcoin, trader
from tests.console.pages import text_of
from tests.console.passkeys import Passkey
from tests.console.plans import steps as plan_steps
from tests.console.present import Person, at_the_browser
from tests.console.signals import steps as signal_steps

__all__ = ["trader"]
OKX: Linkable = next(each for each in ALL if each.broker == "okx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    act: PresenceAct
    url: str
    fields: dict[str, Any] = field(default_factory=dict)
    shows: str = ""
    """What the answer to a proof shows, where it changes nothing yet."""

    def opened(self, send: Callable[[], Any]) -> bool:
        """Whether sending it did something: every change of who may do what is on record, beside each refused proof."""
        changes = Change.objects.filter(category=ChangeCategory.CHANGE)
        before = changes.count()
        answer = send()
        if self.shows:
            return answer.status_code == 200 and self.shows in text_of(answer)
        return changes.count() > before


@pytest.fixture
def owner(owner: User) -> User:
    """Runs the instance, too: so there is one person for every act."""
    owner.is_operator = True
    owner.save()
    return owner


@pytest.fixture
def person(owner: User) -> Person:
    return at_the_browser(owner)


def _asks(owner: User, connection: Connection, trader: Any) -> Any:
    """An order that waits for its owner."""
    connections.set_policy(connection, Policy.OWNER_APPROVAL, by=owner)
    return preparing.prepare(trader, bitcoin()).confirmation


@pytest.fixture
def endpoint_of(
    owner: User, other: User, paper: Connection, app: ConnectedApp, trader: Any, person: Person
) -> Iterator[Callable[[PresenceAct], Endpoint]]:
    """The endpoint of an act, with what it takes made ready for it."""
    running = contextlib.ExitStack()

    def make(act: PresenceAct) -> Endpoint:
        def endpoint(url: str, *, shows: str = "", **fields: Any) -> Endpoint:
            return Endpoint(act=act, url=url, fields=fields, shows=shows)

        key: dict[str, Any] = {"name": "bot", "connection": paper.pk, "scope": "trade", "expiry": "30"}
        connection, security = f"/connections/{paper.pk}", "/security"
        match act:
            case PresenceAct.LOOSEN_POLICY:
                connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
                return endpoint(f"{connection}/policy/", policy="two_step")
            case PresenceAct.TRADING_ON:
                connections.disable_trading(paper, by=owner)
                return endpoint(f"{connection}/trading-on/")
            case PresenceAct.RESUME_CONNECTION:
                connections.pause(paper, by=owner)
                return endpoint(f"{connection}/resume/")
            case PresenceAct.RESUME_APP:
                grants.pause(app, by=owner)
                return endpoint(f"/apps/{app.pk}/resume/")
            case PresenceAct.WIDEN_LIMITS:
                Connection.objects.filter(pk=paper.pk).update(
                    limits={"order_notional": "90000", "daily_notional": "90000"}
                )
                return endpoint(f"{connection}/limits/", order_notional="95000", daily_notional="90000")
            case PresenceAct.TOOLSETS_ON:
                grants.set_toolsets(app, {Toolset.MARKET}, by=owner)
                return endpoint(f"/apps/{app.pk}/toolsets/", on=[each.value for each in Toolset])
            case PresenceAct.STOP_ASKING:
                return endpoint(f"/apps/{app.pk}/asking/", ask="no")
            case PresenceAct.SHORTEN_DELAY:
                connections.set_confirmation_delay(paper, 9, by=owner)
                return endpoint(f"{connection}/confirmation-delay/", seconds="5")
            case PresenceAct.LENGTHEN_WAIT:
                return endpoint(f"{connection}/approval-wait/", seconds="3600")
            case PresenceAct.MAKE_RULE:
                connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
                return endpoint(f"/orders/approvals/rules/new/{paper.pk}/", **rule_steps.form())
            case PresenceAct.MAKE_SIGNAL_ADDRESS:
                return endpoint("/signals/new/", connection=paper.pk, **signal_steps.FORM)
            case PresenceAct.MINT_KEY:
                return endpoint("/keys/new/", **key)
            case PresenceAct.ROTATE_KEY:
                old, _ = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="bot")
                return endpoint(f"/keys/{old.public_id}/rotate/", expiry="30", overlap="1h")
            case PresenceAct.MINT_MANAGEMENT_KEY:
                return endpoint("/keys/manage/new/", name="terraform", expiry="30")
            case PresenceAct.START_PLAYGROUND:
                return endpoint("/playground/start/", app=app.pk, may="same")
            case PresenceAct.GRANT:
                page = Host.register(person, REGISTRATIONS["claude"]).page()
                shown = shown_on(person.get(page))
                return endpoint(page, choice="allow", connection=paper.pk, scope=BOTH, shown=shown)
            case PresenceAct.LINK:
                return endpoint(OKX.page, **OKX.form(running.enter_context(OKX.running())))
            case PresenceAct.REPLACE_BROKER_KEY:
                form = OKX.form(running.enter_context(OKX.running()))
                at_the_browser(owner, Passkey(owner)).post(OKX.page, form)
                linked = Connection.objects.get(broker=OKX.broker)
                return endpoint(f"/connections/{linked.pk}/key/", **OKX.keys)
            case PresenceAct.LIFT_HALT:
                return endpoint(f"/halts/{halts.halt_connection(paper, by=owner).pk}/lift/")
            case PresenceAct.RELEASE_ORDER:
                waits = _asks(owner, paper, trader)
                return endpoint(f"/orders/approvals/{waits.public_id}/release/", seen=waits.terms_digest)
            case PresenceAct.START_PLAN:
                plan = plan_preparing.prepare_plan(plan_steps.principal_of(app), plan_steps.twap())
                return endpoint(f"/plans/{plan.public_id}/start/", seen=plan.confirmation.terms_digest)
            case PresenceAct.RESUME_PLAN:
                plan = plan_steps.started(plan_steps.principal_of(app), plan_steps.twap())
                deciding.pause(plan, by=owner.email, user=owner)
                return endpoint(f"/plans/{plan.public_id}/resume/")
            case PresenceAct.SETTLE_ORDER:
                order = _asks(owner, paper, trader).order
                Order.objects.filter(pk=order.pk).update(status="not_found")
                return endpoint(f"/orders/{order.public_id}/settle/", seen="working")
            case PresenceAct.REGISTER_CLIENT:
                return endpoint("/clients/new/", name="W", redirect_uris="https://w.example.com/cb", scope="trade")
            case PresenceAct.ACCEPT_CLIENT:
                Host.register(person, REGISTRATIONS["claude"])
                Client.objects.update(review=ReviewState.WAITING)
                client = Client.objects.get()
                return endpoint(f"/clients/{client.pk}/accept/", seen=client.looks)
            case PresenceAct.INVITE:
                return endpoint("/people/invite/", email="ines@example.com", operator="on")
            case PresenceAct.CHANGE_PERSON:
                return endpoint(f"/people/{other.pk}/make-operator/")
            case PresenceAct.ADD_PLATFORM:
                return endpoint("/platforms/new/", name="Widget")
            case PresenceAct.CHANGE_PLATFORM_SECRET | PresenceAct.ENABLE_PLATFORM:
                platform, _ = services.create_platform(owner, name="Widget")
                if act is PresenceAct.CHANGE_PLATFORM_SECRET:
                    return endpoint(f"/platforms/{platform.client_id}/secret/")
                services.disable_platform(platform, by=owner)
                return endpoint(f"/platforms/{platform.client_id}/enable/")
            case PresenceAct.ADD_APP:
                return endpoint(f"{security}/app/", shows='class="qr"')
            case PresenceAct.ADD_PASSKEY:
                return endpoint(f"{security}/passkey/", shows="data-options", name="Phone")
            case PresenceAct.REMOVE_FACTOR:
                return endpoint(f"{security}/factors/{Passkey(owner, 'Old').factor.pk}/remove/")
            case PresenceAct.NEW_CODES:
                return endpoint(f"{security}/codes/")
            case PresenceAct.CHANGE_PASSWORD:
                return endpoint(
                    f"{security}/password/", password="seven purple wardrobes", again="seven purple wardrobes"
                )
        raise AssertionError(f"{act} has no endpoint here: say how it is done.")

    with running:
        yield make
