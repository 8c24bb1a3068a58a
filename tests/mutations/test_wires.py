"""Every adapter that the contract is held to has a place at which its orders are spoiled."""

from tests.brokers.contract.cases import CASES
from tests.mutations.wires import WIRES


def test_every_adapter_is_among_them() -> None:
    assert set(WIRES) == {case.name for case in CASES}
