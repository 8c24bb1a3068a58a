"""A head of more than 32 kB is refused with 431 at every endpoint, before anybody reads or keeps anything of it."""

import contextlib
import json
import socket
from pathlib import Path

import pytest

from console.header_limit import MOST_BYTES
from console.http_protocol import MOST_UNFINISHED
from tests import serving
from tests.patience import at_most
from tests.serving import Server

PAGE = "/sign-in/"
ENDPOINTS = ("/mcp", "/api/v1/orders", "/oauth/token", PAGE)
NAMES = ("Accept", "Host", "Origin", "User-Agent", "X-Forwarded-For")


def asked(server: Server, path: str, **headers: str) -> tuple[str, str]:
    """Head and body of the answer to somebody whom nobody knows."""
    lines = {"Host": f"localhost:{server.port}", "Authorization": "Bearer nobody", "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(20)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    start, _, body = answer.decode().partition("\r\n\r\n")
    return start, body


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_large_head_is_refused_at_every_endpoint(server: Server, path: str, name: str) -> None:
    start, body = asked(server, path, **{name: "x" * MOST_BYTES})
    assert start.startswith("HTTP/1.1 431 "), start
    assert "connection: close" in start.lower() and "x-request-id: req_" in start.lower()
    if path == PAGE:
        assert "at most 32 kB" in body
    else:
        assert "invalid_request" in json.dumps(json.loads(body))


def test_a_long_query_counts_and_a_head_of_half_the_size_is_nothing_special(server: Server) -> None:
    assert asked(server, f"{PAGE}?next={'x' * MOST_BYTES}")[0].startswith("HTTP/1.1 431 ")
    assert asked(server, PAGE, Accept="x" * (MOST_BYTES // 2))[0].startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("line", ["\r\nX-More: ", ""], ids=["many lines", "a long line"])
def test_headers_that_do_not_end_are_cut_off(server: Server, line: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(20)) as connection:
        with contextlib.suppress(ConnectionError):  # it is cut off while more is sent
            connection.sendall(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-More: ")
            for _ in range(MOST_UNFINISHED // 1000 * 8):
                connection.sendall((line + "y" * 1000).encode())
        with contextlib.suppress(ConnectionError):
            while connection.recv(65536):
                pass


def test_a_long_body_in_one_piece_is_no_head(server: Server) -> None:
    sent = b"x" * (4 * MOST_UNFINISHED)
    head = f"POST /oauth/token HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: {len(sent)}\r\n\r\n"
    following = f"GET {PAGE} HTTP/1.1\r\nHost: localhost:{server.port}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=at_most(20)) as connection:
        connection.sendall(head.encode() + sent + following.encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 200 " in answer


def test_the_endpoint_alone_refuses_it_too(tmp_path: Path) -> None:
    with serving.serve(tmp_path / "home", app="mcpserver.asgi:application") as server:
        assert asked(server, "/mcp", Host="localhost:" + "8" * MOST_BYTES)[0].startswith("HTTP/1.1 431 ")
