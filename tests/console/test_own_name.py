"""An instance has a name of its own where this computer knows it: under ``localhost`` every server gets its cookies."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console.accounts.models import User
from console.config import instance_dir
from console.config.instance_dir import OWN_NAME
from console.oauth import resource_indicator
from tests.conftest import PASSWORD
from tests.console.oauth.hosts import Host, register

URL = f"http://{OWN_NAME}:8000"


def knows(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """This computer looks up these names, and no other."""
    known = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "0.0.0.0": "0.0.0.0", **names}  # noqa: S104

    def look_up(name: str, *_: object, **__: object) -> list[Any]:
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[name], 0))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)


def test_a_new_home_takes_it_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, **{OWN_NAME: "127.0.0.1"})
    assert instance_dir.local_name(tmp_path, listens="127.0.0.1") == OWN_NAME
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o600
    (tmp_path / "secrets").mkdir()
    knows(monkeypatch)
    assert instance_dir.local_name(tmp_path, listens="127.0.0.1") == OWN_NAME, "passkeys belong to the name"


@pytest.mark.parametrize(
    ("known", "listens"),
    [({}, "127.0.0.1"), ({OWN_NAME: "203.0.113.7"}, "127.0.0.1"), ({OWN_NAME: "127.0.0.1"}, "0.0.0.0")],  # noqa: S104
    ids=["unknown", "leads elsewhere", "listens to other computers"],
)
def test_where_it_would_not_do_the_name_is_localhost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, str], listens: str
) -> None:
    knows(monkeypatch, **known)
    assert instance_dir.local_name(tmp_path, listens=listens) == "localhost"
    knows(monkeypatch, **{OWN_NAME: "127.0.0.1"})
    assert instance_dir.local_name(tmp_path, listens="127.0.0.1") == "localhost"


def test_a_home_from_before_keeps_localhost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    knows(monkeypatch, **{OWN_NAME: "127.0.0.1"})
    assert instance_dir.local_name(tmp_path, listens="127.0.0.1") == "localhost"


@pytest.fixture
def named(settings: LazySettings) -> Iterator[None]:
    settings.PUBLIC_URL = settings.ISSUER = URL
    settings.MCP_URL = f"{URL}/mcp"
    settings.LOCAL_NAMES = frozenset({OWN_NAME, "localhost", "127.0.0.1", "::1"})
    settings.ALLOWED_HOSTS = ["testserver", OWN_NAME, "localhost", "127.0.0.1", "[::1]"]
    resource_indicator.origin_for.cache_clear()
    yield
    resource_indicator.origin_for.cache_clear()


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:8000"])
def test_a_page_asked_for_under_another_name_leads_to_the_own_one(db: None, named: None, host: str) -> None:
    for path in ("/", "/keys/new/?connection=1", "/sign-in/", "/oauth/authorize?client_id=a%20b"):
        answer = Browser(headers={"host": host}).get(path)
        assert (answer.status_code, answer["Location"]) == (307, f"{URL}{path}")
        assert not answer.cookies


def test_nobody_is_signed_in_under_another_name(owner: User, named: None) -> None:
    browser = Browser(enforce_csrf_checks=True, headers={"host": "localhost:8000"})
    answer = browser.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    assert answer.status_code == 403
    assert not answer.cookies


@pytest.mark.parametrize(
    "path", ["/api/v1/orders", "/.well-known/oauth-authorization-server", "/static/console/app.css"]
)
def test_programs_are_answered_under_each_name(db: None, named: None, path: str) -> None:
    for host in ("localhost:8000", f"{OWN_NAME}:8000"):
        assert Browser(headers={"host": host}).get(path).status_code in (200, 401)


def test_a_foreign_host_is_refused_and_led_nowhere(db: None, named: None) -> None:
    answer = Browser(headers={"host": "evil.example:8000"}).get("/")
    assert answer.status_code == 400
    assert "Location" not in answer


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (f"{OWN_NAME}:8000", URL),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:9000", URL),
    ],
)
def test_a_host_is_told_of_the_resource_by_the_name_it_used(db: None, named: None, host: str, told: str) -> None:
    document = Browser(headers={"host": host}).get("/.well-known/oauth-protected-resource/mcp").json()
    assert document["resource"] == f"{told}/mcp"
    assert document["authorization_servers"] == [URL]
    assert resource_indicator.metadata_url(host) == f"{told}/.well-known/oauth-protected-resource/mcp"


@pytest.mark.parametrize("sent", [URL, f"{URL}/mcp", "http://localhost:8000/mcp", "http://127.0.0.1:8000/mcp/"])
def test_a_token_is_given_for_each_of_its_names(owner: User, paper: Any, named: None, sent: str) -> None:
    browser = Browser(headers={"host": f"{OWN_NAME}:8000"})
    browser.force_login(owner)
    body = {"client_name": "Notes", "redirect_uris": ["http://127.0.0.1:7000/cb"], "token_endpoint_auth_method": "none"}
    host = Host(browser, register(body).json()["client_id"], "http://127.0.0.1:7000/cb")
    code = host.code(paper.pk, resource=sent)
    assert host.redeem(code, resource=sent).status_code == 200


@pytest.mark.parametrize(
    "sent", ["http://localhost:9000/mcp", "http://other.localhost:8000/mcp", "https://localhost/mcp"]
)
def test_and_for_no_other(owner: User, paper: Any, named: None, sent: str) -> None:
    with pytest.raises(Exception, match="Tokens are issued for"):
        resource_indicator.check([sent])
