"""Failed sign-ins are counted where a flood of them cannot wash the counts away."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from console.accounts import throttle
from console.accounts.throttle import SignInAttempt


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def fail(ip: str, email: str, times: int = 1) -> bool:
    """Whether the last of them was still let through."""
    return [SignInAttempt(ip=ip, email=email).begin() for _ in range(times)][-1]


def test_an_address_that_is_blocked_makes_no_counter_for_the_accounts_it_names() -> None:
    assert not fail("203.0.113.9", "nobody@example.com", throttle.FAILURES_PER_IP + 1)
    for _ in range(throttle.FAILURES_PER_ACCOUNT + 1):
        assert not fail("203.0.113.9", "olivia@example.com")
    assert fail("203.0.113.10", "olivia@example.com"), "a stranger's flood must not lock her out from elsewhere"


def test_a_flood_of_names_does_not_evict_the_count_of_an_account() -> None:
    for number in range(throttle.FAILURES_OF_STRANGERS):
        fail(f"203.0.113.{number}", "olivia@example.com")
    for number in range(600):
        fail(f"198.51.{number // 200}.{number % 200}", f"flood{number}@example.com")
    assert not fail("203.0.113.100", "olivia@example.com")


def test_the_addresses_of_one_ipv6_network_are_one_neighbour() -> None:
    for number in range(throttle.FAILURES_PER_IP):
        assert fail(f"2001:db8::{number:x}", f"name{number}@example.com")
    assert not fail("2001:db8::ffff", "olivia@example.com")
    assert fail("2001:db8:0:1::1", "olivia@example.com"), "another network is another neighbour"
