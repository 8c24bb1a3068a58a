"""Guessing secrets is slow, and a stranger's guesses do not lock the platform out."""

from typing import Any

import pytest

from console.platforms import throttle
from console.platforms.models import PlatformUser
from tests.console.platforms.conftest import Product

Trader = tuple[PlatformUser, str]


def guess(product: Product, user: PlatformUser, ip: str) -> Any:
    product.http.defaults["REMOTE_ADDR"] = ip
    return product.mint((user, "tlu_secret_wrong"))


def test_after_ten_wrong_secrets_even_the_right_one_waits(product: Product, trader: Trader) -> None:
    codes = [guess(product, trader[0], "203.0.113.9").status_code for _ in range(11)]
    assert codes == [401] * 10 + [429]
    waiting = product.mint(trader)
    assert waiting.status_code == 429
    assert waiting["Retry-After"] == "300"
    assert waiting.json()["code"] == "rate_limited"


def test_the_platform_itself_calls_on_from_its_own_address(product: Product, trader: Trader) -> None:
    for _ in range(12):
        guess(product, trader[0], "203.0.113.9")
    product.http.defaults["REMOTE_ADDR"] = "198.51.100.1"
    assert product.mint(trader).status_code == 200


def test_one_address_cannot_try_many_platforms(product: Product, trader: Trader) -> None:
    product.http.defaults["REMOTE_ADDR"] = "203.0.113.9"
    codes = [
        product.send("GET", "/api/v1/platform/users", client_id=f"tlc_{number}").status_code for number in range(31)
    ]
    assert codes == [401] * throttle.FAILURES_PER_IP + [429]


def test_a_platform_that_used_up_its_calls_can_still_end_a_user(
    product: Product, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "CALLS_PER_WINDOW", 2)
    for _ in range(2):
        product.send("GET", "/api/v1/platform/users")
    assert product.mint(trader).status_code == 429
    assert product.send("DELETE", f"/api/v1/platform/users/{trader[0].public_id}").status_code == 204
