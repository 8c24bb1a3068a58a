"""What tests of addresses share."""

import socket
from typing import Any

import pytest


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Each look-up of any name gives the next answer, the last one for ever. Returns the names asked for."""
    asked: list[str] = []
    before = socket.getaddrinfo

    def look_up(host: str, port: int, *form: Any, **more: Any) -> list[Any]:
        if host == "127.0.0.1":
            return before(host, port, *form, **more)
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked
