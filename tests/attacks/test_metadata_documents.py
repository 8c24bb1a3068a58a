"""Metadata documents as a way into the network behind us (draft-ietf-oauth-client-id-metadata-document, 6.5)."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from console.clients import metadata_documents
from console.clients.metadata_fetching import CIMDError, Fetcher, is_public
from console.clients.models import Client
from console.connections.models import Connection
from tests.console.clients import vendor as vendors
from tests.console.clients.vendor import Vendor
from tests.console.oauth.hosts import Host
from tests.patience import at_most, lasting

INTERNAL = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",  # noqa: S104  looked at, not bound
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]
PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"]


@pytest.fixture(autouse=True)
def no_failures_remembered() -> None:
    cache.clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with vendors.serving(tmp_path_factory.mktemp("vendor")) as started:
        yield started


@pytest.fixture
def vendor(server: Vendor) -> Vendor:
    server.replies.clear()
    server.asked.clear()
    return server


class NamesOnly(Fetcher):
    """Production's, with a name server of ours."""

    addresses: list[str] = []

    def look_up(self, host: str, port: int) -> list[str]:
        return self.addresses


@pytest.mark.parametrize("address", INTERNAL)
def test_an_address_inside_is_never_reached(address: str) -> None:
    assert not is_public(address)
    fetcher = NamesOnly()
    fetcher.addresses = [address]
    with pytest.raises(CIMDError, match="public internet"):
        fetcher.fetch("https://innocent.example/client.json")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/c",
        "https://127.1/c",
        "https://2130706433/c",
        "https://0x7f.1/c",
        "https://[::1]/c",
        "https://[::ffff:127.0.0.1]/c",
        "https://localhost/c",
    ],
)
def test_an_address_inside_written_in_another_way_is_found_out(url: str) -> None:
    with pytest.raises(CIMDError):
        Fetcher().fetch(url)


def test_one_address_inside_among_public_ones_spoils_the_name() -> None:
    fetcher = NamesOnly()
    fetcher.addresses = ["8.8.8.8", "10.0.0.1"]
    with pytest.raises(CIMDError, match="public internet"):
        fetcher.fetch("https://innocent.example/client.json")


def test_a_name_that_changes_its_mind_is_asked_once_and_held_to_its_answer(vendor: Vendor) -> None:
    """Rebinding: public when it is checked, inside when it is connected to."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    class Rebinding(vendors.fetcher_for(vendor)):  # type: ignore[misc]  # made for this server
        def look_up(self, host: str, port: int) -> list[str]:
            return answers.pop(0)

    address = vendor.publish()
    document, _ = Rebinding().fetch(address)
    assert document["client_id"] == address
    assert answers == [["10.0.0.1"]], "never asked again"


def test_the_certificate_must_be_the_names(vendor: Vendor) -> None:
    vendor.publish()
    nearby = vendors.fetcher_for(vendor)()
    with pytest.raises(CIMDError, match="SSLCertVerificationError"):
        nearby.fetch(vendor.address(host="other.example"))

    class Distrusting(type(nearby)):  # type: ignore[misc]  # made for this server
        def tls(self) -> ssl.SSLContext:
            return ssl.create_default_context()

    with pytest.raises(CIMDError, match="SSLCertVerificationError"):
        Distrusting().fetch(vendor.address())
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"status": 302, "headers": {"Location": "https://127.0.0.1/secret"}}, "HTTP 302"),
        ({"status": 307, "headers": {"Location": "http://169.254.169.254/"}}, "HTTP 307"),
        ({"status": 404}, "HTTP 404"),
        ({"status": 204}, "HTTP 204"),
        ({"headers": {"Content-Type": "text/html"}}, "not JSON"),
        ({"headers": {"Content-Type": "application/jsonp"}}, "not JSON"),
        ({"padding": "x" * 20_000}, "maximum allowed size"),
        ({"raw": b"{"}, "not valid JSON"),
        ({"raw": b"[]"}, "JSON object"),
        ({"raw": b"[" * 16_000}, "RecursionError"),
        ({"raw": b"\xff\xfe"}, "not valid JSON"),
        ({"raw": b""}, "not valid JSON"),
    ],
)
def test_only_a_small_json_document_in_its_own_place_is_read(
    reply: dict[str, Any], reason: str, vendor: Vendor
) -> None:
    address = vendor.publish(**reply)
    with pytest.raises(CIMDError, match=reason):
        vendors.fetcher_for(vendor)().fetch(address)
    assert vendor.asked == ["/client.json"], "asked once, and nobody else"


def _drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(10_000):
        handler.wfile.write(b"H")
        handler.wfile.flush()
        time.sleep(0.1)


def _drip_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "16000")
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def _say_nothing(handler: BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):
        handler.connection.recv(1)


@pytest.mark.parametrize("slow", [_drip_headers, _drip_body, _say_nothing])
def test_a_server_that_is_slow_holds_nobody(slow: vendors.Reply, vendor: Vendor) -> None:
    fetcher = vendors.fetcher_for(vendor)()
    fetcher.seconds = lasting(0.7)
    vendor.replies["/client.json"] = slow
    began = time.monotonic()
    with pytest.raises(CIMDError, match="too long"):
        fetcher.fetch(vendor.address())
    assert time.monotonic() - began < at_most(3)


def test_a_name_server_that_is_slow_holds_nobody() -> None:
    over = threading.Event()

    class Slow(Fetcher):
        seconds = lasting(0.2)

        def look_up(self, host: str, port: int) -> list[str]:
            over.wait(at_most(5))
            return ["8.8.8.8"]

    began = time.monotonic()
    with pytest.raises(CIMDError, match="too long"):
        Slow().fetch("https://innocent.example/c")
    took = time.monotonic() - began
    over.set()
    assert took < at_most(0.9)


def test_production_gives_up_after_five_seconds() -> None:
    assert Fetcher.seconds == 5


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.example",
        "https://user@vendor.example/c",
        "https://user:pass@vendor.example/c",
        "https://vendor.example/c#part",
        "https://vendor.example/a/../c",
        "https://vendor.example:99999/c",
        "https://vendor.example:x/c",
        "https:///c",
        "https://[::1/c",
        "https://v\u00e4ndor.example/c",
        "https://vendor.example/c\r\nX-Injected: 1",
        "https://vendor.example/a b",
        "https://vendor.example\\@127.0.0.1/c",
        "https://" + "a" * 64 + ".example/c",
        "https://vendor..example/c",
    ],
)
def test_an_address_that_is_not_plain_is_not_even_looked_up(url: str, host: Host, db: None) -> None:
    class Loud(Fetcher):
        def look_up(self, host: str, port: int) -> list[str]:
            host.encode("idna")
            raise AssertionError(f"looked up {host}")

    with pytest.raises(CIMDError):
        Loud().fetch(url)
    page = host.begin(client_id=url)
    assert page.status_code == 400
    assert "Location" not in page


def test_the_page_of_a_bad_address_says_why_and_sends_nobody_anywhere(host: Host, paper: Connection) -> None:
    for address in ("https://127.0.0.1/c", "https://localhost:8000/c", "https://[::1]:5432/c"):
        page = host.begin(client_id=address)
        assert page.status_code == 400
        text = page.content.decode()
        assert "This app cannot be identified" in text
        assert "its host is not on the public internet" in text
    assert not Client.objects.filter(kind="document").exists()


def test_http_addresses_are_no_documents() -> None:
    assert not metadata_documents.is_address("http://vendor.example/client.json")
    assert metadata_documents.is_address("HTTPS://vendor.example/client.json")


def test_no_setting_of_the_environment_reaches_the_rules(tmp_path: Path) -> None:
    for module in ("metadata_fetching", "metadata_documents"):
        source = (Path(metadata_documents.__file__).parent / f"{module}.py").read_text()
        assert "environ" not in source
