"""The addresses a key works from: single ones or networks in CIDR notation, IPv4 and IPv6."""

import ipaddress
import re
from collections.abc import Iterable

MOST = 50


def parse(text: str) -> list[str]:
    """Normalised networks from what a person typed, apart by commas, blanks or lines. Raises ValueError."""
    found: list[str] = []
    for word in re.split(r"[\s,;]+", text.strip()):
        if not word:
            continue
        try:
            network = str(ipaddress.ip_network(word))
        except ValueError as error:
            raise ValueError(_advice(word)) from error
        if network not in found:
            found.append(network)
    if len(found) > MOST:
        raise ValueError(f"Give at most {MOST} addresses; a network such as 203.0.113.0/24 covers many.")
    return found


def _advice(word: str) -> str:
    try:
        meant = ipaddress.ip_network(word, strict=False)
    except ValueError:
        return f"{word[:50]} is not an IP address. Write 203.0.113.7, or a network such as 203.0.113.0/24."
    return f"{word[:50]} is not the start of a network. Did you mean {meant}?"


def within(network: str, others: Iterable[str]) -> bool:
    """Whether every address of ``network`` is in one of the others."""
    return any(_smaller_of(network, other) == network for other in others)


def intersection(some: Iterable[str], others: Iterable[str]) -> list[str]:
    """The addresses that are in both; empty: none is."""
    found = (_smaller_of(one, other) for one in some for other in list(others))
    return list(dict.fromkeys(each for each in found if each is not None))


def _smaller_of(one: str, other: str) -> str | None:
    """The smaller of two networks of which one holds the other."""
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    if first.version != second.version:
        return None
    (first_low, first_high), (second_low, second_high) = _span(first), _span(second)
    if second_low <= first_low and first_high <= second_high:
        return one
    return other if first_low <= second_low and second_high <= first_high else None


def _span(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def contain(networks: Iterable[str], ip: str) -> bool:
    """Whether ``ip`` is in one of them. What is no address is in none."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    # A socket that listens for both families reports IPv4 callers as ::ffff:203.0.113.7.
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in ipaddress.ip_network(network) for network in networks)
