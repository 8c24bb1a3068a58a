"""What Reach finds at the public address: nothing at a whole instance, and each fault by name at one that has it."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client as Browser
from django.test import override_settings

from console.operator import reach
from tests.console.pages import words_of
from tests.serving import Server

Change = Callable[[str, "_Answer"], "_Answer | None"]


class _Answer:
    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.date = formatdate(usegmt=True)


def _good(url: str, path: str, bearer: str) -> _Answer:
    """What a whole instance says, in short."""
    if path == "/mcp":
        said = f'Bearer resource_metadata="{url}/.well-known/oauth-protected-resource/mcp"'
        said += ', error="invalid_token"' if bearer else ""
        return _Answer(401, WWW_Authenticate=said, X_Request_ID="req_1")
    if path.endswith("/oauth-protected-resource/mcp"):
        return _Answer(200, json.dumps({"resource": f"{url}/mcp", "authorization_servers": [url]}))
    if path.endswith("/oauth-authorization-server"):
        ends = {"authorization_endpoint": f"{url}/oauth/authorize", "token_endpoint": f"{url}/oauth/token"}
        return _Answer(200, json.dumps({"issuer": url, **ends}))
    if path == reach.DRIP:
        return _Answer(200, "data: one\n\n|data: two\n\n", Content_Type="text/event-stream")
    return _Answer(200, Strict_Transport_Security="max-age=31536000")


@contextmanager
def standing_in(change: Change, *, tls: Path | None = None) -> Iterator[str]:
    """A server in the place of ours, whose answers ``change`` may spoil; None: it hangs up."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            answer = change(path, _good(url, path, self.headers.get("Authorization", "")))
            if answer is None:
                return
            self.send_response_only(answer.status)
            for name, value in {**answer.headers, "Date": answer.date}.items():
                self.send_header(name, value)
            self.end_headers()
            for number, part in enumerate(answer.body.split("|")):
                if number:
                    time.sleep(reach._PAUSE_SECONDS)
                self.wfile.write(part.encode())
                self.wfile.flush()

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ExitStack() as stack:
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stack.callback(server.shutdown)
        with override_settings(PUBLIC_URL=url, ISSUER=url, MCP_URL=f"{url}/mcp", LOCAL_NAMES=frozenset({"127.0.0.1"})):
            yield url


def bad(change: Change, **how: Any) -> dict[str, str]:
    with standing_in(change, **how):
        return {each.what: f"{each.said} {each.todo}" for each in reach.examine() if not each.is_good}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_PAUSE_SECONDS", 0.3)


def test_a_whole_instance_is_good_in_every_line() -> None:
    assert bad(lambda path, answer: answer) == {}


def test_a_real_instance_is_good_in_every_line(shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = shared_server.url
    monkeypatch.setattr(reach, "_PAUSE_SECONDS", 1.0)
    known = {"PUBLIC_URL": url, "ISSUER": url, "MCP_URL": f"{url}/mcp", "LOCAL_NAMES": frozenset({"localhost"})}
    secret = (shared_server.home / "secrets" / "secret_key").read_text().strip()
    with override_settings(SECRET_KEY=secret, **known):
        findings = reach.examine()
    assert [f"{each.what}: {each.said}" for each in findings if not each.is_good] == []
    assert len(findings) >= 9


def spoil(wanted: str, **changed: Any) -> Change:
    def change(path: str, answer: _Answer) -> _Answer:
        if path == wanted:
            for name, value in changed.items():
                setattr(answer, name, value)
        return answer

    return change


AS, PR = "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"


@pytest.mark.parametrize(
    ("change", "what", "said"),
    [
        (
            spoil("/mcp", status=301, headers={"Location": "http://elsewhere.example/mcp"}),
            "Sign-in is asked for",
            "redi",
        ),
        (spoil("/mcp", status=200, headers={}), "Sign-in is asked for", "answers 200"),
        (spoil("/mcp", headers={}), "Sign-in is asked for", "WWW-Authenticate is missing"),
        (spoil("/mcp", headers={"WWW-Authenticate": "Bearer"}), "Request ID", "no X-Request-ID"),
        (spoil("/mcp", headers={"WWW-Authenticate": "Bearer"}), "Tokens arrive", "Authorization"),
        (spoil(PR, status=404), "Resource metadata", "answers 404"),
        (spoil(PR, body="<html>"), "Resource metadata", "no JSON"),
        (
            spoil(PR, body='{"resource": "http://inside:8000/mcp"}'),
            "Resource metadata",
            "resource is http://inside:8000",
        ),
        (
            spoil(AS, body='{"issuer": "http://inside:8000"}'),
            "Authorization server metadata",
            "issuer is http://inside",
        ),
        (spoil("/sign-in/", status=400), "Pages", "answers 400"),
        (spoil(reach.DRIP, body="data: one\n\ndata: two\n\n"), "Streams", "buffering"),
        (spoil(reach.DRIP, status=404, body=""), "Streams", "answers 404"),
        (spoil("/livez", date=formatdate(time.time() - 90, usegmt=True)), "Clock", "behind this computer"),
        (spoil("/livez", date="never"), "Clock", "no date"),
        (lambda path, answer: None if path == PR else answer, "Resource metadata", "does not answer"),
    ],
)
def test_each_fault_is_named_with_what_to_do(change: Change, what: str, said: str) -> None:
    found = bad(change)
    assert said in found[what]


def test_where_nothing_answers_the_first_line_says_so() -> None:
    with standing_in(lambda path, answer: answer) as url:
        pass
    with override_settings(PUBLIC_URL=url):
        [found] = reach.examine()
    assert not found.is_good and "does not answer" in found.said and found.todo


def certificate(folder: Path, *, days: int) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "both.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_certificate_that_nobody_knows_ends_it(tmp_path: Path) -> None:
    found = bad(lambda path, answer: answer, tls=certificate(tmp_path, days=90))
    assert list(found) == ["Address"] and "certificate is not accepted" in found["Address"]


@pytest.mark.parametrize(("days", "faults"), [(90, []), (3, ["Certificate"])])
def test_a_certificate_that_ends_soon_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, faults: list[str]
) -> None:
    file = certificate(tmp_path, days=days)
    monkeypatch.setattr(reach, "_context", lambda: ssl.create_default_context(cafile=str(file)))
    assert list(bad(lambda path, answer: answer, tls=file)) == faults


def test_pages_without_hsts_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path, days=90)
    monkeypatch.setattr(reach, "_context", lambda: ssl.create_default_context(cafile=str(file)))
    assert list(bad(spoil("/sign-in/", headers={}), tls=file)) == ["HSTS"]


@pytest.mark.django_db
def test_only_operators_can_ask_and_a_look_at_the_page_asks_nothing(
    operators_browser: Browser, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def examine() -> list[reach.ReachFinding]:
        asked.append(1)
        return [reach.ReachFinding("Clock", False, "Off.", "Set it.")]

    monkeypatch.setattr(reach, "examine", examine)
    assert "Not checked yet" in words_of(operators_browser.get("/operator/reach/"))
    assert browser.get("/operator/reach/").status_code == browser.post("/operator/reach/").status_code == 404
    assert not asked
    words = words_of(operators_browser.post("/operator/reach/"))
    assert "Clock Not good" in words and "Off. Set it." in words and "curl -sS" in words


@pytest.mark.django_db
def test_the_trial_stream_is_for_who_was_sent_by_the_check(browser: Browser, client: Browser) -> None:
    for each in (browser, client):
        assert each.get(reach.DRIP).status_code == each.get(f"{reach.DRIP}?pass=x").status_code == 404
