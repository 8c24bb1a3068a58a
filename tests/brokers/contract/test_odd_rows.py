"""A word that an adapter does not know takes no list with it, ends no order, and is named."""

from collections.abc import Iterator

import pytest

from brokers.types import BrokerStatus
from tests.brokers.contract.cases import ODD, Case, Rig


@pytest.fixture(params=ODD, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def rig(case: Case, db: None) -> Iterator[Rig]:
    with case.opened() as opened:
        yield opened


def test_an_order_in_a_status_that_is_not_known_is_open_beside_the_others_and_named(case: Case, rig: Rig) -> None:
    odd, good = rig.order(), rig.order()
    for each in (odd, good):
        rig.broker.submit(rig.account_id, each)
    assert [str(each) for each in rig.broker.unknown_words] == []
    case.make_odd(rig, odd.client_order_id)
    listed = {each.client_order_id: each for each in rig.broker.orders(rig.account_id, open_only=True)}
    assert {odd.client_order_id, good.client_order_id} <= set(listed)
    assert listed[odd.client_order_id].status is BrokerStatus.WORKING
    assert "evitating" in listed[odd.client_order_id].reason
    unknown = rig.broker.unknown_words
    assert [("evitating" in each.word, each.left_out) for each in unknown] == [(True, False)] * len(unknown)
    assert unknown


def test_it_is_found_by_its_id_and_is_no_less_open_there(case: Case, rig: Rig) -> None:
    odd = rig.order()
    rig.broker.submit(rig.account_id, odd)
    case.make_odd(rig, odd.client_order_id)
    found = rig.look(odd.client_order_id)
    assert found is not None
    assert found.status is BrokerStatus.WORKING
