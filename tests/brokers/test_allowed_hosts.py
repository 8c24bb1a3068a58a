"""Where a person may type an address, only computers on the operator's list are connected to."""

import socket
from typing import Any

import pytest

from brokers import allowed_hosts
from brokers.errors import BrokerUnavailable
from tests.brokers.steps import named


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.0.0.5", "10.0.0.5", "10.0.0.5"),
        ("10.0.0.0/24", "desk.lan", "10.0.0.9"),
        ("10.0.0.5:5000", "10.0.0.5", "10.0.0.5"),
        ("desk.lan", "Desk.LAN.", "10.0.0.9"),
        ("desk.lan:5000", "desk.lan", "10.0.0.9"),
        ("::1", "localhost", "::1"),
        ("[fd00::1]:5000", "desk.lan", "fd00::1"),
        ("[fd00::/64]:5000", "desk.lan", "fd00::1"),
        ("127.0.0.0/8", "desk.lan", "::ffff:127.0.0.1"),
    ],
)
def test_what_is_on_the_list_is_called(monkeypatch: pytest.MonkeyPatch, entry: str, host: str, address: str) -> None:
    named(monkeypatch, [address])
    assert allowed_hosts.parse([entry]).addresses(host, 5000) == [address.removeprefix("::ffff:")]


@pytest.mark.parametrize(
    ("entries", "host", "addresses"),
    [
        ([], "localhost", ["127.0.0.1"]),
        (["127.0.0.0/8"], "169.254.169.254", ["169.254.169.254"]),
        (["10.0.0.5:5001"], "10.0.0.5", ["10.0.0.5"]),
        (["desk.lan"], "desk.lan.example.com", ["10.0.0.5"]),
        (["10.0.0.0/24"], "desk.lan", ["10.0.0.5", "192.168.0.1"]),
        (["127.0.0.0/8"], "localhost", ["127.0.0.1", "::1"]),
    ],
    ids=["nothing listed", "metadata", "another port", "longer name", "one address outside", "the other family"],
)
def test_what_is_not_on_it_is_not(
    monkeypatch: pytest.MonkeyPatch, entries: list[str], host: str, addresses: list[str]
) -> None:
    named(monkeypatch, addresses)
    with pytest.raises(allowed_hosts.OutOfReach, match=r"TRADELATCH_BROKER_ADDRESSES\. Nothing was sent"):
        allowed_hosts.parse(entries).addresses(host, 5000)


def test_a_name_nobody_knows_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*asked: Any, **more: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(BrokerUnavailable, match=r"The name desk\.lan cannot be resolved"):
        allowed_hosts.parse(["desk.lan"]).addresses("desk.lan", 5000)


@pytest.mark.parametrize("entry", ["10.0.0.300", "10.0.0.0/40", "desk lan", "-x", "desk:0", "desk:70000", "http://x"])
def test_an_entry_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address|has no port"):
        allowed_hosts.parse([entry])


@pytest.mark.parametrize(
    ("text", "own_hosts", "entries"),
    [
        (None, ["localhost", "127.0.0.1"], ["127.0.0.0/8", "::1"]),
        (None, ["::1", "::1"], ["127.0.0.0/8", "::1"]),
        (None, ["desk.example.com", "127.0.0.1"], []),
        (None, ["localhost", "0.0.0.0"], []),  # noqa: S104
        (None, ["127.example.com", "127.0.0.1"], []),
        ("", ["localhost", "127.0.0.1"], []),
        ("10.0.0.5:5000 desk.lan", ["desk.example.com"], ["10.0.0.5:5000", "desk.lan"]),
    ],
)
def test_by_default_only_an_instance_for_one_computer_calls_gateways_and_only_there(
    text: str | None, own_hosts: list[str], entries: list[str]
) -> None:
    assert allowed_hosts.listed(text, own_hosts=own_hosts) == entries
