"""What a setup guide is made of, and the instance it is filled with. Values only."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

NAME = "tradelatch"
"""What a host calls this server."""
KEY = "YOUR_API_KEY"
CLIENT_ID = "YOUR_CLIENT_ID"
KEY_VARIABLE = "TRADELATCH_API_KEY"


class Reachability(StrEnum):
    """From where the public address of this instance can be called."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"


class Runs(StrEnum):
    """Where a host calls from."""

    HERE = "here"
    INTERNET = "internet"
    SCRIPT = "script"


class SnippetUse(StrEnum):
    """What a person does with a text to copy."""

    SHELL = "shell"
    FILE = "file"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What guides are filled with. ``client_id`` stands in where apps may not register themselves."""

    public_url: str
    self_registration: str = "open"
    client_id: str = CLIENT_ID
    key: str = KEY

    @property
    def url(self) -> str:
        return f"{self.public_url}/mcp"

    @property
    def needs_client(self) -> bool:
        return self.self_registration == "off"

    @property
    def reach(self) -> Reachability:
        host = urlsplit(self.public_url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return Reachability.LOOPBACK
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            inside = "." not in host or host.endswith((".local", ".internal", ".lan", ".home.arpa"))
            return Reachability.PRIVATE if inside else Reachability.PUBLIC
        if address.is_loopback:
            return Reachability.LOOPBACK
        return Reachability.PUBLIC if address.is_global else Reachability.PRIVATE

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def bearer(self) -> str:
        return f"Bearer {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideStep:
    """One thing to do. In ``text`` what stands between backticks is shown as code."""

    text: str
    copy: str = ""
    use: SnippetUse = SnippetUse.VALUE
    link: str = ""
    """An address that opens the host itself."""
    link_label: str = ""
    mints: bool = False
    """A key is needed: the page offers to make one."""
    registers: bool = False
    """A client is needed: the page offers to register one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """``oauth``: the person signs in and no secret is typed anywhere. ``key``: an API key is kept by the host."""

    slug: str
    title: str
    steps: tuple[GuideStep, ...]

    def texts(self, use: SnippetUse) -> list[str]:
        return [step.copy for step in self.steps if step.copy and step.use is use]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    slug: str
    name: str
    runs: Runs
    brief: str
    """The whole of it in one line, for lists."""
    ways: tuple[Way, ...]
    seen: str
    """How we know: what was run against this version, or that nothing was."""
    notes: tuple[str, ...] = field(default=())
    redirects: tuple[str, ...] = field(default=())
    """Where it returns to after the sign-in, for registering it by hand."""

    def way(self, slug: str) -> Way:
        return next(way for way in self.ways if way.slug == slug)
