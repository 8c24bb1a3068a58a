"""What a host would see at the public address, asked from this machine: nothing but that one address is called.

No redirect is followed, and no address that an answer names is asked unless it is below the public one.
"""

import asyncio
import http.client
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing

from console import base_path
from console.oauth import metadata, resource_indicator

DRIP = "/operator/reach/drip"
_SALT = "console.operator.reach"
_PASS_SECONDS = 60
_PATIENCE_SECONDS = 5.0
_MOST_READ = 256 * 1024
_PAUSE_SECONDS = 1.0
"""Between the two parts of a drip: whoever gets both at once has a proxy that holds back."""
_CERTIFICATE_DAYS = 14
_SKEW_SECONDS = 5.0
_INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "tradelatch-reach", "version": settings.VERSION},
        },
    }
)
_NO_SUCH_TOKEN = "not-a-token-of-anybody"  # noqa: S105  it opens nothing


@dataclass(frozen=True, slots=True)
class ReachFinding:
    what: str
    is_good: bool
    said: str
    todo: str = ""


@dataclass(slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    certificate_ends: datetime | None = None
    gaps: list[float] = field(default_factory=list)
    """Seconds between the parts of the body, as they came."""

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _NoAnswer(Exception):
    """The message says why, and ``todo`` what to do."""

    def __init__(self, why: str, todo: str) -> None:
        super().__init__(why)
        self.todo = todo


def command() -> str:
    """For a computer elsewhere: what this page cannot see from here."""
    return f"curl -sS -i -X POST {settings.MCP_URL} -H 'Content-Type: application/json' -d '{{}}'"


def examine() -> list[ReachFinding]:
    """Ask the public address what a host asks, in its order. It ends early where nothing answers."""
    try:
        first = _ask("GET", "/livez")
    except _NoAnswer as error:
        return [ReachFinding("Address", False, str(error), error.todo)]
    findings = [ReachFinding("Address", True, f"{settings.PUBLIC_URL} answers.")]
    for check in (_transport, _clock):
        findings += check(first)
    for ask in (_challenge, _bearer_passes, _resource, _server, _page, _stream):
        try:
            findings += ask()
        except _NoAnswer as error:
            findings.append(ReachFinding(_TITLES[ask.__name__], False, str(error), error.todo))
    return findings


_TITLES = {
    "_challenge": "Sign-in is asked for",
    "_bearer_passes": "Tokens arrive",
    "_resource": "Resource metadata",
    "_server": "Authorization server metadata",
    "_page": "Pages",
    "_stream": "Streams",
}


def _transport(first: _Reply) -> Iterator[ReachFinding]:
    if urlsplit(settings.PUBLIC_URL).scheme != "https":
        local = bool(settings.LOCAL_NAMES)
        said = "The address is http. Hosts on this computer can use it; Claude and ChatGPT on the web cannot."
        todo = "" if local else "Put a proxy with a certificate in front; see Deploy it."
        yield ReachFinding("From here alone" if local else "https", local, said, todo)
        return
    ends = first.certificate_ends
    if ends is None:
        yield ReachFinding("Certificate", True, "It is valid.")
        return
    left = ends - datetime.now(UTC)
    good = left > timedelta(days=_CERTIFICATE_DAYS)
    todo = "" if good else "Look why the proxy does not renew it. Caddy renews a month before the end."
    yield ReachFinding("Certificate", good, f"It is valid until {ends:%d %B %Y}, for {left.days} more days.", todo)


def _clock(first: _Reply) -> Iterator[ReachFinding]:
    try:
        ahead = parsedate_to_datetime(first.headers.get("date", "")).timestamp() - time.time()
    except ValueError:
        yield ReachFinding("Clock", False, "The answer has no date.", "Let the proxy pass the header Date.")
        return
    good = abs(ahead) <= _SKEW_SECONDS
    said = (
        f"Its clock and this computer's agree within {_SKEW_SECONDS:.0f} seconds."
        if good
        else f"What answers there is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} this computer."
    )
    yield ReachFinding(
        "Clock", good, said, "" if good else "Set both clocks by NTP: codes and tokens end by the clock."
    )


def _challenge() -> Iterator[ReachFinding]:
    """What a host meets first: 401, and where to read on (RFC 9728 section 5.1)."""
    reply = _ask("POST", "/mcp", body=_INITIALIZE)
    if 300 <= reply.status < 400:
        where = reply.headers.get("location", "")[:200]
        yield ReachFinding(
            "Sign-in is asked for",
            False,
            f"/mcp is answered with a redirect ({reply.status}) to {where}.",
            "Route /mcp without a redirect: hosts drop the token when they follow one.",
        )
        return
    wanted = f'resource_metadata="{_metadata_url()}"'
    told = reply.headers.get("www-authenticate", "")
    good = reply.status == 401 and wanted in told
    yield ReachFinding(
        "Sign-in is asked for",
        good,
        "Without a token, /mcp answers 401 and says where to sign in."
        if good
        else f"Without a token, /mcp answers {reply.status}; its WWW-Authenticate is {told[:200] or 'missing'}.",
        "" if good else f"Send /mcp to Tradelatch unchanged and pass WWW-Authenticate on. It should contain {wanted}.",
    )
    has_id = reply.headers.get("x-request-id", "").startswith("req_")
    yield ReachFinding(
        "Request ID",
        has_id,
        "Answers have an X-Request-ID that the log knows." if has_id else "Answers have no X-Request-ID.",
        "" if has_id else "Let the proxy pass the header X-Request-ID.",
    )


def _bearer_passes() -> Iterator[ReachFinding]:
    reply = _ask("POST", "/mcp", body=_INITIALIZE, headers={"Authorization": f"Bearer {_NO_SUCH_TOKEN}"})
    good = reply.status == 401 and 'error="invalid_token"' in reply.headers.get("www-authenticate", "")
    yield ReachFinding(
        "Tokens arrive",
        good,
        "A wrong token is refused as one." if good else f"A wrong token is not noticed: {reply.status}.",
        "" if good else "Pass the header Authorization on to Tradelatch.",
    )


def _resource() -> Iterator[ReachFinding]:
    wanted = metadata.protected_resource(urlsplit(settings.PUBLIC_URL).netloc)
    yield _document("Resource metadata", _metadata_url(), {k: wanted[k] for k in ("resource", "authorization_servers")})


def _server() -> Iterator[ReachFinding]:
    where = base_path.absolute(f"/.well-known/oauth-authorization-server{settings.BASE_PATH}")
    wanted = metadata.authorization_server()
    names = ("issuer", "authorization_endpoint", "token_endpoint")
    yield _document("Authorization server metadata", where, {name: wanted[name] for name in names})


def _document(title: str, url: str, wanted: Mapping[str, Any]) -> ReachFinding:
    """The exact values, because hosts compare them letter by letter (RFC 8414 section 3.3, RFC 9728 section 3.3)."""
    reply = _ask_url("GET", url)
    told = reply.json()
    if reply.status != 200 or not isinstance(told, dict):
        said = f"{url} answers {reply.status}{'' if reply.status != 200 else ', but no JSON'}."
        return ReachFinding(title, False, said, f"Send {urlsplit(url).path} to Tradelatch as it is.")
    for name, value in wanted.items():
        if told.get(name) != value:
            said = f"{name} is {str(told.get(name))[:200]}, not {value}."
            return ReachFinding(title, False, said, "Another server answers there, or a proxy changes what is said.")
    return ReachFinding(title, True, f"{url} names the right {' and '.join(wanted)}.")


def _page() -> Iterator[ReachFinding]:
    reply = _ask("GET", "/sign-in/")
    good = reply.status == 200
    said = "The sign-in page is shown." if good else f"The sign-in page answers {reply.status}."
    yield ReachFinding("Pages", good, said, "" if good else "Pass Host and X-Forwarded-Proto, and set trusted proxies.")
    if urlsplit(settings.PUBLIC_URL).scheme == "https":
        strict = "max-age=" in reply.headers.get("strict-transport-security", "")
        said = (
            "Strict-Transport-Security is set: browsers use only https."
            if strict
            else "Strict-Transport-Security is missing."
        )
        todo = "" if strict else "Pass X-Forwarded-Proto and list the proxy in TRADELATCH_TRUSTED_PROXIES."
        yield ReachFinding("HSTS", strict, said, todo)


def _stream() -> Iterator[ReachFinding]:
    reply = _ask("GET", f"{DRIP}?pass={signing.dumps('drip', salt=_SALT)}")
    if reply.status != 200 or not reply.body.startswith(b"data:"):
        said = f"The trial stream answers {reply.status}."
        yield ReachFinding("Streams", False, said, f"Send {DRIP} to Tradelatch as it is.")
        return
    good = any(gap > _PAUSE_SECONDS / 4 for gap in reply.gaps)  # this computer may be slow to read
    yield ReachFinding(
        "Streams",
        good,
        "Each part arrives when it is sent." if good else "All parts arrive together: something on the way holds back.",
        ""
        if good
        else "Turn off buffering for text/event-stream. Nginx: proxy_buffering off. Caddy: flush_interval -1.",
    )


def is_pass(text: str) -> bool:
    """Whether this instance asked for the trial stream a moment ago."""
    try:
        return bool(signing.loads(text, salt=_SALT, max_age=_PASS_SECONDS) == "drip")
    except signing.BadSignature:
        return False


async def drip() -> AsyncIterator[bytes]:
    yield b"data: one\n\n"
    await asyncio.sleep(_PAUSE_SECONDS)
    yield b"data: two\n\n"


def _metadata_url() -> str:
    return resource_indicator.metadata_url(urlsplit(settings.PUBLIC_URL).netloc)


def _ask(method: str, path: str, *, body: str = "", headers: Mapping[str, str] | None = None) -> _Reply:
    return _ask_url(method, f"{settings.PUBLIC_URL}{path}", body=body, headers=headers)


def _ask_url(method: str, url: str, *, body: str = "", headers: Mapping[str, str] | None = None) -> _Reply:
    """One request to the public address; raises _NoAnswer. Every ``url`` is made from the settings."""
    parts, ours = urlsplit(url), urlsplit(settings.PUBLIC_URL)
    assert (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_PATIENCE_SECONDS, context=_context())
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_PATIENCE_SECONDS)
    sent = {"Accept": "application/json, text/event-stream", "User-Agent": f"tradelatch-reach/{settings.VERSION}"}
    if body:
        sent["Content-Type"] = "application/json"
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target or "/", body=body or None, headers={**sent, **(headers or {})})
        ends = _end_of(connection)
        answer = connection.getresponse()
        content, gaps = _read(answer)
    except ssl.SSLCertVerificationError as error:
        raise _NoAnswer(
            f"The certificate is not accepted: {error.verify_message}.",
            "Get one for this name from an authority that every computer knows; Caddy does that by itself.",
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise _NoAnswer(
            f"{settings.PUBLIC_URL} does not answer: {why[:200]}.",
            "Check the name, the port and the proxy. Some routers do not lead a computer back to its own public "
            "address: then try the command below elsewhere.",
        ) from error
    finally:
        connection.close()
    names = {name.lower(): value for name, value in answer.getheaders()}
    return _Reply(answer.status, names, content, ends, gaps)


def _read(answer: http.client.HTTPResponse) -> tuple[bytes, list[float]]:
    parts: list[bytes] = []
    gaps, last, until = list[float](), time.monotonic(), time.monotonic() + _PATIENCE_SECONDS
    while part := answer.read1(64 * 1024):
        now = time.monotonic()
        if parts:
            gaps.append(now - last)
        parts.append(part)
        last = now
        if now > until or sum(map(len, parts)) > _MOST_READ:
            break
    return b"".join(parts), gaps


def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _end_of(connection: http.client.HTTPConnection) -> datetime | None:
    if not isinstance(connection.sock, ssl.SSLSocket):
        return None
    ends = (connection.sock.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
