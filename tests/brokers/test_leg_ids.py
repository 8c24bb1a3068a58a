"""Our id of a leg leads to the order it hangs on, and no other id does."""

import uuid

import pytest

from brokers import leg_ids


def test_each_leg_has_an_id_of_its_own_that_leads_back() -> None:
    order = uuid.uuid4().hex
    legs = [leg_ids.of_exit(order, place) for place in range(6)]
    assert len({order, *legs}) == 7
    assert [leg_ids.parent(each) for each in legs] == [(order, place) for place in range(6)]
    assert [leg_ids.following(each) for each in (order, *legs[:5])] == legs
    assert [leg_ids.is_ours(each) for each in (order, *legs)] == [True] + [False] * 6


@pytest.mark.parametrize(
    "other", ["", "made-elsewhere", "0" * 12 + "4" + "0" * 19, "00000000-0000-a000-0000-000000000000", "ABCDEFABCDEF"]
)
def test_no_other_id_is_that_of_a_leg(other: str) -> None:
    assert leg_ids.parent(other) is None


def test_nothing_follows_from_an_id_of_another_or_after_the_last_exit() -> None:
    last = leg_ids.of_exit(uuid.uuid4().hex, 5)
    assert [leg_ids.following(each) for each in ("made-elsewhere", "", last)] == ["", "", ""]
    with pytest.raises(ValueError, match="id of ours"):
        leg_ids.of_exit("made-elsewhere", 0)
