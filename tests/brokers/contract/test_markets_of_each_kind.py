"""A broker that tells hours says of everything it trades which market it trades in."""

from brokers.types import Ability
from tests.brokers.contract.cases import Rig


def test_each_kind_of_instrument_has_one_market(rig: Rig) -> None:
    capabilities = rig.broker.capabilities
    if Ability.MARKET_HOURS not in capabilities.abilities:
        return
    told = [kind for market in rig.broker.market_hours() for kind in market.asset_classes]
    assert {kind: told.count(kind) for kind in capabilities.asset_classes} == dict.fromkeys(
        capabilities.asset_classes, 1
    )
