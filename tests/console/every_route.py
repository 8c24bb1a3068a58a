"""Every address of the URL conf, each id in it being one of Olivia's. Shared by the walks of the console's tests.

A new route is walked by itself. One with a new kind of id fails until ``furnish`` says which of Olivia's it is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils import timezone

from console import toolsets
from console.accounts.models import User
from console.alerts import intake as alerts
from console.alerts import services as alert_services
from console.alerts.models import Alert, AlertEvent
from console.clients import registration
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code
from console.halts import services as halts
from console.keys import management_keys, minting
from console.limits import Limits
from console.notifications import channels
from console.onboarding import connection_lifecycle
from console.orders.models import Order, Question, StandingRule
from console.plans import preparing as plan_preparing
from console.plans.models import TradingPlan
from console.platforms import services as platforms
from console.platforms.services import PaperTerms
from console.recent_errors import rollup
from console.recent_errors.models import ErrorGroup
from console.scopes import Scope, Source
from console.signals import addresses as signal_addresses
from console.signals.addresses import AddressTerms
from console.signals.mapping import Template
from console.signals.models import SenderProof, Signal
from console.timeline import saved_views
from console.timeline.models import ViewPage
from tests.console.pages import log
from tests.console.plans import steps as plan_steps
from tests.console.second_factors import give_app
from tests.console.steps import made_elsewhere, prepared_order, traded

OPTION = "GOOGL 18SEP26 312.5 C, -1 GOOGL 18SEP26 332.5 C"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
# Routes that are regular expressions, and an address that each answers; None: no page, but what others fall through to.
_EXPRESSIONS: dict[str, str | None] = {
    r"^\.well-known/oauth-protected-resource(?:/mcp)?/?$": "/.well-known/oauth-protected-resource",
    r"^\.well-known/oauth-authorization-server(?:/mcp)?/?$": "/.well-known/oauth-authorization-server",
    r"^\.well-known/": "/.well-known/nothing",
    r"help/^(?P<path>[\w/-]+\.svg)$": "/help/develop/order-states.svg",
    r"^api/": "/api/nothing",
}
PUBLIC = frozenset(
    {
        "connect/<slug>",
        "skills/<slug>",
        "connections/add/<slug>",
        "docs/tools/<name>",
        "help/<slug>",
        "help/errors/<code>",
    }
    | {"timeline/export/<form>", "timeline/<source>", "timeline/views/<page>"}
    | {"signals/in/<part>", "sign-in/with/<slug>", "set-password/<token>", "people/<pk>/<action>"}
)
"""Kinds of ids that are nobody's: a guide, a page of help, what is to be done."""
DESK = "Harbour desk for Wertpapierdienstleistungsaufsichtsunternehm"
HELPER = "Orchid helper at Unternehmensdatenverarbeitungsgesellschafts"
KEY = "nightly-report-of-all-positions-and-open-orders-in-every-acc"
PROVISIONING = "provisioning-of-connections-for-every-new-customer-in-europe"
LANTERN = "Lantern Kapitalverwaltungsgesellschaftsbeteiligungsverwalter"
COMPASS = "Compass Finanzdienstleistungsinstitutsvermittlungsplattforme"
VIEW = "Refusals-of-all-orders-in-every-account-since-last-year-and-"
STRATEGY = "Momentum of the Rückversicherungsaktiengesellschaft, hourly"
PRIVATE = frozenset({STRATEGY, VIEW, DESK, HELPER, KEY, PROVISIONING, LANTERN, COMPASS, "olivia@example.com"})
"""Names of what is Olivia's or the operator's: on no page of anybody else."""


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    """``apps/<pk>/revoke/``."""
    name: str
    view: Any

    @property
    def ids(self) -> list[str]:
        """Each parameter with the way to it: ``apps/<pk>``."""
        return [self.path[: found.end()] for found in re.finditer(r"<\w+>", self.path)]

    @property
    def is_of_somebody(self) -> bool:
        return self.path not in _EXPRESSIONS and any(each not in PUBLIC for each in self.ids)

    def address(self, things: Mapping[str, Any]) -> str:
        """With the ids of ``things``. Raises LookupError for a kind of id that is not among them."""
        path = self.path
        if path in _EXPRESSIONS:
            return _EXPRESSIONS[path] or ""
        if "(" in path or "^" in path:
            raise LookupError(f"{path}: add an address that it answers to _EXPRESSIONS in {__file__}.")
        for kind in reversed(self.ids):
            if kind not in things:
                raise LookupError(f"{self.path}: say in furnish() of {__file__} which {kind} is Olivia's.")
            start = kind.rindex("<")
            path = path[:start] + str(things[kind]) + path[len(kind) :]
        return f"/{path}"


def routes() -> list[Route]:
    return list(_walk(get_resolver().url_patterns))


def _walk(patterns: Iterable[Any], before: str = "", space: str = "") -> Iterator[Route]:
    for each in patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, path, space + (f"{each.namespace}:" if each.namespace else ""))
        else:
            assert isinstance(each, URLPattern)
            plain = _PARAMETER.sub(r"<\1>", path) if isinstance(each.pattern, RoutePattern) else path
            yield Route(plain, space + (each.name or ""), each.callback)


def _alert(paper: Connection, app: ConnectedApp) -> Alert:
    """Of a long name, with a long note and one notification; and a message of the app."""
    given = {"kind": "indicator", "symbol": "BTC/USD", "indicator": "MACD(12,26,9).histogram", "bar": "1h"}
    asked = {**given, "condition": "crosses", "value": Decimal("123456.789"), "note": "Note " * 40, "repeats": True}
    alert = alerts.create(paper, asked, app=app).alert
    AlertEvent.objects.create(
        owner=paper.owner,
        connection=paper,
        app=app,
        alert=alert,
        number=1,
        at=timezone.now(),
        title=alert_services.in_words(alert),
        text="Donaudampfschifffahrtselektrizitäten" * 8,
    )
    alert_services.emit(app, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 9)
    return alert


def furnish(owner: User, operator: User) -> dict[str, Any]:
    """One of everything that has an id, all of it Olivia's or that of the operator.

    Names are as long as they may be and numbers as long as they get: no page may cut them off.
    """
    paper, _ = connection_lifecycle.open_paper(owner, name=DESK, starting_cash=Decimal(100_000))
    trades = frozenset({Scope.READ, Scope.TRADE})
    app = grants.grant(owner, paper, trades, source=Source.OAUTH, name=HELPER)
    grants.activate(app)
    plan = _plan(app)  # before its limits and its halt
    trip = traded(paper)
    order = prepared_order(app)
    now = timezone.now()
    _lengthen(paper, order)
    question = Question.objects.create(
        public_id="qst_1",
        order=order,
        words=["This is a question."],
        token="1",
        asked_at=now,
        expires_at=now + timedelta(minutes=2),
    )
    key, _ = minting.mint(owner, paper, frozenset({Scope.READ}), name=KEY)
    management, _ = management_keys.mint(owner, name=PROVISIONING, expires_at=None)
    client, _ = registration.register_static(
        owner, name=LANTERN, redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    halt = halts.halt_connection(paper, by=app, reason="Enough")
    call = log(
        app,
        tool=max((each.name for each in toolsets.provided()), key=len),
        outcome="refused",
        code=max(Code, key=len),
        message="Order entry is halted on this connection until its owner lifts the halt. " * 3,
        arguments={"symbol": OPTION, "note": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 4},
    )
    view = saved_views.save(owner, ViewPage.TIMELINE, name=VIEW, query="tool=get_*&outcome=failed")
    rollup.catch_up()
    signal = _signal(owner, paper)
    topic = channels.add_topic(owner, server="https://ntfy.example.com", topic="orders-of-olivia", token="")
    platform, _ = platforms.create_platform(operator, name=COMPASS)
    user, _ = platforms.provision_user(platform, paper=PaperTerms("Theirs", Decimal(1000)))
    alert = _alert(paper, app)
    return {
        **{f"{api}connections/<{name}>": paper.pk for api, name in (("", "pk"), ("api/v1/", "connection_id"))},
        **dict.fromkeys(
            ("journal/rebuild/<pk>", "halts/connection/<pk>", "orders/closing/<pk>", "orders/approvals/letters/<pk>"),
            paper.pk,
        ),
        **dict.fromkeys(
            ("orders/approvals/rules/new/<pk>", "portfolio/read/<pk>", "portfolio/test/<pk>"),
            paper.pk,
        ),
        "connections/<pk>/practice/<account_id>": paper.default_account,
        "api/v1/connections/<connection_id>/practice-accounts/<account_id>": paper.default_account,
        **dict.fromkeys(("apps/<pk>", "halts/app/<pk>", "api/v1/connected-apps/<app_id>"), app.pk),
        **dict.fromkeys(("halts/<pk>", "api/v1/halts/<halt_id>"), halt.pk),
        **dict.fromkeys(("alerts/<alert_id>", "api/v1/alerts/<alert_id>"), alert.public_id),
        **dict.fromkeys(("keys/<public_id>", "api/v1/keys/<key_id>"), key.public_id),
        "keys/manage/<public_id>": management.public_id,
        "notifications/channels/<pk>": topic.pk,
        "notifications/channels/<pk>/messages/<message>": 1,
        "operator/clients/<pk>": client.pk,
        "operator/grants/<pk>": app.pk,
        "operator/grants/revoke-all/person/<pk>": owner.pk,
        "operator/grants/revoke-all/client/<pk>": client.pk,
        **dict.fromkeys(("clients/<pk>", "api/v1/clients/<client_pk>"), client.pk),
        "oauth/register/<client_id>": client.client_id,
        "oauth/consent/<handle>": "made-up",
        **dict.fromkeys(("orders/<public_id>", "api/v1/orders/<order_id>"), order.public_id),
        "plans/<public_id>": plan.public_id,
        "orders/elsewhere/<pk>": made_elsewhere(paper).pk,
        "orders/approvals/<public_id>": order.confirmation.public_id,
        "orders/approvals/rules/<public_id>": _standing_rule(paper).public_id,
        "timeline/orders/<public_id>": order.public_id,
        "timeline/<source>": "call",
        "timeline/<source>/<pk>": call.pk,
        "timeline/export/<form>": "csv",
        "timeline/views/<page>": "timeline",
        "timeline/views/<pk>": view.pk,
        "errors/<pk>": ErrorGroup.objects.get(user_id=owner.pk).pk,
        "orders/approvals/questions/<public_id>": question.public_id,
        **dict.fromkeys(("journal/<public_id>", "api/v1/journal/trades/<trade_id>"), trip.public_id),
        **dict.fromkeys(("activity/<request_id>", "api/v1/activity/<request_id>"), call.request_id),
        "security/factors/<pk>": give_app(owner).pk,
        "people/<pk>": owner.pk,
        "people/<pk>/<action>": "disable",
        "signals/in/<part>": "unknown",
        "signals/<public_id>": signal.address.public_id,
        "platforms/<client_id>": platform.client_id,
        "api/v1/platform/users/<user_id>": user.public_id,
        "set-password/<token>": "used-up",
        "sign-in/with/<slug>": "nowhere",
        "connect/<slug>": "cursor",
        "skills/<slug>": "rebalance",
        "connections/add/<slug>": "okx",
        "docs/tools/<name>": "place_order",
        "help/errors/<code>": "halted",
        "help/<slug>": "use/troubleshooting",
    }


def _signal(owner: User, connection: Connection) -> Signal:
    """A refused one of an address with a long name."""
    template = Template(
        secret="secret", quantity="strategy.order.contracts", instruments={"NASDAQ:LONGSYMBOLOFATICKER": "AAPL"}
    )
    networks = [f"203.0.113.{number}/32" for number in range(20)]
    wanted = AddressTerms(
        name=STRATEGY,
        proof=SenderProof.BODY,
        template=template,
        most_value=Decimal("999999999999.99"),
        networks=networks,
    )
    signal: Signal = signal_addresses.make(owner, connection, wanted).address.signals.create(
        public_id="sig_1",
        at=timezone.now(),
        ip="2001:db8:1234:5678:9abc:def0:1234:5678",
        user_agent="Donaudampfschifffahrtselektrizitätenhauptbetriebswerk/1.0 (+https://www.example.com)",
        request_id="req_1",
        sender_id="Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 2,
        wanted={"symbol": OPTION, "side": "SELL", "quantity": "123456789.12345678", "limit_price": "1234567.12345678"},
        outcome="refused",
        code=Code.UNSUPPORTED_MEDIA_TYPE,
        message="The Content-Type of the message is not application/json or text/plain. Nothing was prepared. " * 4,
        more=12345,
    )
    return signal


def _plan(app: ConnectedApp) -> TradingPlan:
    plan = plan_preparing.prepare_plan(plan_steps.principal_of(app), plan_steps.twap(silent_minutes=60))
    TradingPlan.objects.filter(pk=plan.pk).update(
        released_value=Decimal("999999999999.99"), reason="The broker did not answer within 10 s. " * 8
    )
    return plan


def _standing_rule(connection: Connection) -> StandingRule:
    now = timezone.now()
    return StandingRule.objects.create(
        public_id="rul_1",
        connection=connection,
        name="Buys of the Wertpapiersparplan, monthly"[:40],
        symbols=[f"LONGSYMBOL{number}/USDT" for number in range(12)],
        sides=["BUY", "SELL"],
        order_types=["MKT", "LMT"],
        currency="USD",
        order_value=Decimal("999999999999.99"),
        day_value=Decimal("9999999999999.99"),
        orders_a_day=1000,
        weekdays=[0, 1, 2, 3, 4],
        time_zone="America/Argentina/ComodRivadavia",
        made_at=now,
        made_with="a passkey",
        expires_at=now + timedelta(days=30),
    )


def _lengthen(connection: Connection, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(
        symbol=OPTION,
        order_type="STP_LIMIT",
        quantity=Decimal("123456789.12345678"),
        filled_quantity=Decimal("23456789.12345678"),
        limit_price=Decimal("1234567.12345678"),
        stop_price=Decimal("1234567.87654321"),
        average_price=Decimal("1234567.12345678"),
        worst_notional=Decimal("152415787532388.36"),
    )
    held = Limits(
        order_notional=Decimal("999999999999.99"),
        daily_notional=Decimal("9999999999999.99"),
        daily_loss=Decimal("9999999999.99"),
        orders_per_minute=1000,
        position_value=Decimal("99999999999999.99"),
        equity_share=Decimal("1234.5678"),
        symbols=frozenset(f"LONGSYMBOL{number}/USDT" for number in range(30)),
    )
    Connection.objects.filter(pk=connection.pk).update(
        equity=Decimal("123456789012345.67"),
        day_change_percent=Decimal("-12345.67"),
        limits=held.stored(),
        last_error="The broker did not answer within 10 s: its servers are down for maintenance. " * 3,
        next_step="We retry automatically. If this persists, check the broker's status page.",
    )
