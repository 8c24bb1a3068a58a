"""What the tests of plans share."""

from decimal import Decimal
from typing import Any

from brokers.paper.models import PaperOrder
from brokers.types import Environment, Side
from console.connected_apps.models import ConnectedApp
from console.orders import actions as order_actions
from console.orders import prepare as order_preparing
from console.plans import deciding, execution, preparing
from console.plans.models import PlanChild, PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.principal import Principal
from console.scopes import Source
from console.toolsets import Toolset
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin


def switch_on(app_id: int) -> None:
    ConnectedApp.objects.filter(pk=app_id).update(toolsets=[each.value for each in Toolset])


def principal_of(app: ConnectedApp) -> Principal:
    """The app, with plans switched on, as one of its calls is."""
    switch_on(app.pk)
    connection = app.connection
    return Principal(
        user_id=connection.owner_id,
        user_label=connection.owner.email,
        source=Source(app.source),
        credential_id="",
        app_id=app.pk,
        app_label=app.name,
        paused=False,
        scopes=app.granted,
        connection_id=connection.pk,
        connection_label=connection.name,
        connection_paused=False,
        broker=connection.broker,
        broker_settings=connection.settings,
        environment=Environment(connection.environment),
        account_id=connection.default_account,
    )


def twap(**more: Any) -> PlanWish:
    """Three buys of a third of a bitcoin, ten minutes apart."""
    given: dict[str, Any] = {
        "kind": PlanKind.TWAP,
        "symbol": "BTC/USD",
        "side": Side.BUY,
        "quantity": Decimal("0.3"),
        "orders": 3,
        "minutes": 20,
    }
    return PlanWish(**given | more)


def started(principal: Principal, wish: PlanWish) -> TradingPlan:
    plan = preparing.prepare_plan(principal, wish)
    return deciding.confirm(principal, plan.confirmation.public_id)


def now_of(plan: TradingPlan) -> TradingPlan:
    return TradingPlan.objects.get(pk=plan.pk)


def statuses(plan: TradingPlan) -> list[str]:
    return list(PlanChild.objects.filter(plan=plan).order_by("number").values_list("status", flat=True))


def sent(plan: TradingPlan) -> list[PaperOrder]:
    """What stands in the books of the broker of this plan, oldest first."""
    names = PlanChild.objects.filter(plan=plan, order__isnull=False).values_list("order__wire_id", flat=True)
    return list(PaperOrder.objects.filter(client_order_id__in=list(names)).order_by("pk"))


def go_on(clock: Clock, **parts: float) -> None:
    clock.advance(**parts)
    execution.sweep()


def trade(principal: Principal, quantity: str, side: Side = Side.BUY) -> None:
    """One market order of bitcoin, prepared and confirmed."""
    prepared = order_preparing.prepare(principal, bitcoin(quantity, side))
    order_actions.confirm(principal, prepared.confirmation.public_id)
