"""What runs on the instance's own computer is out of reach for its users, unless the operator listed it; and untold."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.test import Client as Browser
from django.test import override_settings

from console.accounts.models import User
from console.connections.models import Connection
from tests.console.connections.fakes import IBKR, NO_GATEWAY, TWS, Linkable
from tests.console.connections.steps import link, linked
from tests.console.pages import words_of
from tests.console.present import at_the_browser

gateways = pytest.mark.parametrize("linkable", [IBKR, TWS], ids=lambda each: each.broker)
FOR_OPERATORS = "This instance does not connect to gateways for you"
THEIR_WORDS = "internal inventory of rack seven"
SPELLINGS = ["127.0.0.1", "localhost", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "LOCALHOST."]


@contextmanager
def other_service(status: int, body: bytes) -> Iterator[tuple[int, list[str]]]:
    """A program of somebody's on this computer that is no gateway: its port, and what it heard."""
    heard: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def asked(browser: Browser, fake: Any, port: int, host: str = "127.0.0.1") -> str:
    """What the page says, without what was typed."""
    page = link(browser, IBKR, fake, base_url=f"http://{host}:{port}/v1/api")
    return words_of(page).replace(str(port), "")


@gateways
def test_by_default_operators_alone_link_a_gateway(owner: User, operator: User, linkable: Linkable) -> None:
    with linkable.running() as fake, override_settings(GATEWAYS_OF_EVERYBODY=False):
        before = fake.connections if linkable is TWS else len(fake.received)
        assert FOR_OPERATORS in words_of(link(at_the_browser(owner), linkable, fake))
        assert not Connection.objects.exists()
        assert (fake.connections if linkable is TWS else len(fake.received)) == before
        assert linked(at_the_browser(operator), linkable, fake).owner == operator


@gateways
def test_what_the_operator_listed_is_everybodys(owner: User, linkable: Linkable) -> None:
    with linkable.running() as fake, override_settings(BROKER_ADDRESSES=["127.0.0.1"]):
        assert linked(at_the_browser(owner), linkable, fake).owner == owner


@gateways
def test_a_key_page_is_no_way_round(owner: User, linkable: Linkable) -> None:
    browser = at_the_browser(owner)
    with linkable.running() as fake:
        made = linked(browser, linkable, fake)
        with override_settings(GATEWAYS_OF_EVERYBODY=False):
            answer = browser.post(f"/connections/{made.pk}/key/", linkable.credentials(fake))
        assert FOR_OPERATORS in words_of(answer)


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_user_learns_nothing_of_a_port_here_in_any_spelling(host: str, owner: User) -> None:
    browser = at_the_browser(owner)
    with (
        IBKR.running() as fake,
        override_settings(GATEWAYS_OF_EVERYBODY=False),
        other_service(200, b"{}") as (port, heard),
    ):
        told = asked(browser, fake, port, host)
        assert FOR_OPERATORS in told
        assert told == asked(browser, fake, closed_port(), host)
        assert heard == []


def test_open_closed_and_speaking_ports_get_one_answer(owner: User) -> None:
    browser = at_the_browser(owner)
    error = json.dumps({"error": THEIR_WORDS}).encode()
    with IBKR.running() as fake:
        told = {asked(browser, fake, closed_port())}
        for status in (200, 400, 401, 403, 404, 429, 500, 302):
            with other_service(status, error) as (port, heard):
                told.add(asked(browser, fake, port))
                assert heard
        for body in (b"not json", b"[]", b'{"iserver": 7}', b'{"iserver": {"authStatus": {"authenticated": true}}}'):
            with other_service(200, body) as (port, _):
                told.add(asked(browser, fake, port))
    assert len(told) == 1
    assert NO_GATEWAY in next(iter(told))
    assert THEIR_WORDS not in next(iter(told))


def test_a_page_of_a_user_names_no_place_here(owner: User, operator: User) -> None:
    with override_settings(GATEWAYS_OF_EVERYBODY=False):
        assert "does not connect to gateways for you yet" in words_of(at_the_browser(owner).get(IBKR.page))
        assert "gateways on the computer it runs on" in words_of(at_the_browser(operator).get(IBKR.page))
