"""The address a request came from, as every reader of one has it: an address, or nothing."""

import functools
import ipaddress


@functools.lru_cache(maxsize=1024)
def parse_address(text: str) -> str:
    """``text`` where it is an IP address, else "": what is no address is counted, kept and compared as unknown."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def customer_network(ip: str) -> str:
    """What one customer of a provider holds: an IPv4 address, or a whole /64 of IPv6 addresses; "" for no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # A socket that listens for both families reports IPv4 callers as ::ffff:203.0.113.7.
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def parse_networks(text: str) -> list[str]:
    """Addresses and networks, apart by commas or blanks. Raises ValueError, naming the first that is neither."""
    words = text.replace(",", " ").split()
    for word in words:
        try:
            ipaddress.ip_network(word)
        except ValueError as error:
            raise ValueError(f"{word!r} is neither an IP address nor a network such as 10.0.0.0/8") from error
    return words
