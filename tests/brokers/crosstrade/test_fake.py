"""The fake refuses what it cannot make sense of as CrossTrade does, and hangs up on nobody."""

import httpx2

from tests.brokers.crosstrade.fake import ACCOUNT, BASE, TOKEN, FakeCrossTrade
from tests.patience import at_most


def test_an_order_that_lacks_what_it_needs_is_refused_and_counts_as_a_violation() -> None:
    with FakeCrossTrade() as fake:
        path = f"{fake.url}{BASE}/accounts/{ACCOUNT}/orders/place"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx2.post(path, headers=headers, json={"instrument": "ES 12-26"}, timeout=at_most(5))
        assert (answer.status_code, answer.json()["error"], len(fake.violations)) == (400, "invalid_request", 1)
        assert fake.orders == {}
