"""After an account recovery no order goes to a live connection for a day; paper goes on."""

from datetime import timedelta

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import permission
from console.orders.states import Status
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db


@pytest.fixture
def recovered(owner: User) -> User:
    owner.live_frozen_until = timezone.now() + timedelta(hours=24)
    owner.save()
    return owner


def live(owner: User) -> Connection:
    return Connection.objects.create(owner=owner, name="Real", broker="paper", environment="live", trading_enabled=True)


def test_a_live_connection_is_refused(recovered: User, app: ConnectedApp) -> None:
    with pytest.raises(Refusal, match="is frozen until") as caught:
        permission.check_permission(app, live(recovered))
    assert caught.value.code is Code.LIVE_FROZEN


def test_paper_goes_on(recovered: User, trader: Principal) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    assert order_actions.confirm(trader, prepared.confirmation.public_id).state is Status.FILLED


def test_after_the_day_live_trades_again(recovered: User, app: ConnectedApp) -> None:
    recovered.live_frozen_until = timezone.now() - timedelta(seconds=1)
    recovered.save()
    permission.check_permission(app, live(recovered))


def test_nobody_elses_live_connection_rests(recovered: User, other: User, app: ConnectedApp) -> None:
    permission.check_permission(app, live(other))


def test_an_order_shown_before_the_recovery_is_not_released_after_it(owner: User, trader: Principal) -> None:
    Connection.objects.update(environment="live", limits={"order_notional": "90000", "daily_notional": "90000"})
    prepared = preparing.prepare(trader, bitcoin())
    User.objects.filter(pk=owner.pk).update(live_frozen_until=timezone.now() + timedelta(hours=24))
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.LIVE_FROZEN
    prepared.order.refresh_from_db()
    assert prepared.order.status == Status.DENIED
