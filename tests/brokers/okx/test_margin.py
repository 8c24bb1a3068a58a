"""The leverage and the position mode that an account has set at OKX are told with a position and before an order."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.brokers.contract.cases import OKX, Rig
from tests.brokers.crypto.recorded import steady
from tests.brokers.okx.fake import OkxFake


@pytest.fixture
def rig() -> Iterator[Rig]:
    with steady(OKX) as opened:
        yield opened


def _contract(rig: Rig) -> str:
    return f"{rig.symbol}:USDT"


def test_a_position_says_its_leverage_and_what_stands_for_it(rig: Rig) -> None:
    (held,) = [each for each in rig.broker.positions(rig.account_id) if each.symbol == _contract(rig)]
    assert (held.leverage, held.margin_mode) == (Decimal(5), "cross")
    (coins,) = [each for each in rig.broker.positions(rig.account_id) if each.symbol == rig.symbol]
    assert (coins.leverage, coins.margin_mode) == (None, "")


def test_an_order_for_a_contract_is_shown_with_the_leverage_and_the_mode(rig: Rig) -> None:
    seen = rig.broker.preview(rig.account_id, replace(rig.order(), symbol=_contract(rig)))
    assert seen.notes == ("At OKX BTC/USDT:USDT is set to 5x leverage, cross margin, net mode.",)
    assert rig.broker.preview(rig.account_id, rig.order()).notes == ()


def test_in_long_short_mode_each_side_has_its_own_leverage(rig: Rig) -> None:
    assert isinstance(rig.fake, OkxFake)
    rig.fake.pos_mode = "long_short_mode"
    seen = rig.broker.preview(rig.account_id, replace(rig.order(), symbol=_contract(rig)))
    assert seen.notes == (
        "At OKX BTC/USDT:USDT is set to 5x leverage long, 5x leverage short, cross margin, long/short mode.",
    )
