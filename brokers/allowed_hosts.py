"""Which computers may be called where a person typed the address: those on a list, and no other.

A name is looked up once for each connection, every address it has is checked, and only such an address is connected
to: a name that answers otherwise the second time (DNS rebinding) leads nowhere.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookedUpTooLong
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from brokers.errors import BrokerUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1")
_SECONDS = 5.0


class OutOfReach(BrokerUnavailable):
    """The list has no such computer. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Entry:
    network: Network | None
    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """``10.0.0.5``, ``10.0.0.0/24``, ``desk.lan``, each also with a port; IPv6 in brackets then. ValueError."""
        found = re.fullmatch(r"(?:\[([0-9a-fA-F:./]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", text)
        host, port = (text, None) if found is None else (found[1] or found[2], found[3])
        if port is not None and not 0 < int(port) < 65536:
            raise ValueError(f"{text} has no port between 1 and 65535")
        number = None if port is None else int(port)
        try:
            return cls(ipaddress.ip_network(host), "", number)
        except ValueError:
            if not re.fullmatch(r"(?!-)[A-Za-z0-9.-]{1,253}", host) or re.fullmatch(r"[0-9./]+", host):
                raise ValueError(f"{text} is not an address, network or host name") from None
            return cls(None, _plain(host), number)

    def has(self, host: str, port: int, address: Address) -> bool:
        if self.port not in (None, port):
            return False
        return self.name == host if self.network is None else address in self.network


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """An allow-list. A host name on it is trusted with whatever it is looked up to; nothing else is by its name."""

    entries: tuple[_Entry, ...]

    def addresses(self, host: str, port: int) -> list[str]:
        """Where to connect for this name. Raises OutOfReach, BrokerUnavailable where the name is not known."""
        found = look_up(host, port)
        name = _plain(host)
        if not all(any(entry.has(name, port, address) for entry in self.entries) for address in found):
            raise OutOfReach(
                f"This instance does not connect to {host}:{port}. Its operator lists the allowed gateways in "
                "TRADELATCH_BROKER_ADDRESSES. Nothing was sent."
            )
        return [str(address) for address in found]


@lru_cache(maxsize=16)
def _parsed(entries: tuple[str, ...]) -> AllowedHosts:
    return AllowedHosts(tuple(_Entry.parse(each) for each in entries))


def parse(entries: Iterable[str]) -> AllowedHosts:
    """Raises ValueError, naming the entry that is none."""
    return _parsed(tuple(entries))


def listed(text: str | None, *, own_hosts: Iterable[str]) -> list[str]:
    """The entries, separated by blanks. Raises ValueError.

    Where nobody said anything (None): this computer, while all ``own_hosts``, by which people come in here, are this
    computer too; else nothing.
    """
    if text is not None:
        parse(text.split())
        return text.split()
    alone = all(re.fullmatch(r"localhost|::1|127(\.\d+){3}", host) for host in own_hosts)
    return list(LOOPBACK) if alone else []


def look_up(host: str, port: int) -> list[Address]:
    """Every address of a name, at least one. Raises BrokerUnavailable."""
    pool = ThreadPoolExecutor(1)
    try:
        asked = pool.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        told = [str(each[4][0]) for each in asked.result(_SECONDS)]
        found = [_unwrapped(ipaddress.ip_address(each)) for each in dict.fromkeys(told)]
    except (OSError, UnicodeError, ValueError, LookedUpTooLong) as error:
        raise BrokerUnavailable(f"The name {host[:100]} cannot be resolved. Nothing was sent.") from error
    finally:
        pool.shutdown(wait=False)
    if not found:
        raise BrokerUnavailable(f"The name {host[:100]} has no address. Nothing was sent.")
    return found


def _unwrapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _plain(host: str) -> str:
    return host.casefold().rstrip(".")
