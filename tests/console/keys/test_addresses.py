"""A key may be bound to addresses."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.authority import bearer, management_callers
from console.authority.bearer import WrongAddress
from console.connections.models import Connection
from console.errors import Code
from console.keys import ip_allow_list, management_keys, minting
from console.keys.models import ApiKey
from console.scopes import Scope
from tests.console.pages import submit, words_of

READ = frozenset({Scope.READ})


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", []),
        ("203.0.113.7", ["203.0.113.7/32"]),
        ("203.0.113.0/24, 2001:DB8::/32\n203.0.113.0/24", ["203.0.113.0/24", "2001:db8::/32"]),
    ],
)
def test_addresses_are_kept_in_one_form(typed: str, kept: list[str]) -> None:
    assert ip_allow_list.parse(typed) == kept


@pytest.mark.parametrize("typed", ["office", "203.0.113", "203.0.113.0/33", "1.2.3.4:80", "http://1.2.3.4", "<b>"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        ip_allow_list.parse(typed)


def test_an_address_in_the_middle_of_a_network_is_asked_back_about() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 203\.0\.113\.0/24"):
        ip_allow_list.parse("203.0.113.7/24")


def test_more_addresses_than_anyone_reads_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 50"):
        ip_allow_list.parse(" ".join(f"10.0.0.{number}" for number in range(51)))


@pytest.mark.parametrize(
    ("ip", "inside"),
    [
        ("203.0.113.9", True),
        ("::ffff:203.0.113.9", True),
        ("203.0.114.9", False),
        ("2001:db8::9", True),
        ("2001:db9::9", False),
        ("", False),
        ("unknown", False),
        ("203.0.113.9, 10.0.0.1", False),
    ],
)
def test_only_an_address_inside_is_inside(ip: str, inside: bool) -> None:
    assert ip_allow_list.contain(["203.0.113.0/24", "2001:db8::/32"], ip) is inside


def test_the_bearer_of_a_bound_key_is_let_in_from_there_only(owner: User, paper: Connection) -> None:
    _, raw = minting.mint(owner, paper, READ, name="office", networks=["203.0.113.0/24"])
    assert bearer.authenticate(raw, ip="203.0.113.9").connection_id == paper.pk
    for elsewhere in ("198.51.100.1", ""):
        with pytest.raises(WrongAddress) as caught:
            bearer.authenticate(raw, ip=elsewhere)
        assert caught.value.code is Code.IP_NOT_ALLOWED
        assert caught.value.principal.user_id == owner.pk


def test_a_management_key_can_be_bound_too(owner: User) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None, networks=["203.0.113.0/24"])
    assert management_callers.authenticate(raw, ip="203.0.113.9").user_id == owner.pk
    with pytest.raises(WrongAddress):
        management_callers.authenticate(raw, ip="198.51.100.1")


def test_the_form_binds_the_key_and_the_list_says_so(browser: Browser, paper: Connection) -> None:
    typed = {"name": "office", "connection": paper.pk, "scope": "read", "expiry": "90", "note": "in the vault"}
    refused = submit(browser, "/keys/new/", typed | {"networks": "203.0.113.7/24"})
    assert "Did you mean 203.0.113.0/24?" in words_of(refused)
    assert not ApiKey.objects.filter(is_default=False).exists()
    submit(browser, "/keys/new/", typed | {"networks": "203.0.113.0/24"})
    words = words_of(browser.get("/keys/"))
    assert "Only from 203.0.113.0/24" in words
    assert "in the vault" in words
