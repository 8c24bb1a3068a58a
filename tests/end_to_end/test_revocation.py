"""What is taken back through one process is refused by another at its very next request."""

import re
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.end_to_end.platform_steps import READ, add_platform
from tests.end_to_end.sdk_steps import Memory, through_oauth
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.person import Person
from tests.serving import GENEROUS, Server, free_port


@pytest.fixture(scope="module")
def second(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second web server on the same data. It reaches its home by another name, so that each is ended apart."""
    home = tmp_path_factory.mktemp("second") / "home"
    home.symlink_to(server.home, target_is_directory=True)
    started = Server(home, free_port(), {}, variables=GENEROUS | {"TRADELATCH_PUBLIC_URL": server.url})
    try:
        started.start()
        yield started
    finally:
        started.kill()


def person_at(server: Server) -> Person:
    return Person(server.url, server.quickstart["username"], server.quickstart["password"])


def ends(second: Server, bearer: str, act: Callable[[], object]) -> str:
    """That the second process lets the bearer in, and after ``act`` no longer; what it says then."""
    wire = Wire(second.mcp_url, bearer)
    assert wire.result("get_cash", {})["context"]["environment"] == "paper"
    act()
    refused = wire.call("get_cash", {})
    assert refused.status_code == 401, refused.text
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    told = refused.json()["error_description"]
    assert f'error_description="{told}"' in refused.headers["www-authenticate"]
    row = second.query("SELECT outcome, code, user_label FROM audit_call ORDER BY id DESC LIMIT 1")
    assert row[0][:2] == ("refused", "unauthenticated") and row[0][2], "the owner finds the attempt under Activity"
    return str(refused.json()["error_description"])


def mint_key(server: Server, name: str) -> tuple[str, str]:
    """A key and its public id."""
    with person_at(server) as person:
        page = person.get("/keys/new/")
        (connection, *_) = re.findall(r'name="connection" value="(\d+)"', page.text)
        made = person.post("/keys/new/", page, name=name, connection=connection, scope="read", expiry="90")
    found = re.search(r"tl_paper_([0-9A-Za-z]{8})_[0-9A-Za-z]{36}", made.text)
    assert found is not None, made.text[:2000]
    return found[0], found[1]


def oauth_tokens(server: Server, redirect: str) -> Memory:
    storage = Memory()

    async def nothing(client: object) -> None:
        pass

    through_oauth(server, storage, connection="Practice", scope="mcp:read", use=nothing, redirect=redirect)
    assert storage.tokens is not None and storage.info is not None
    return storage


def test_the_app_page(server: Server, second: Server) -> None:
    storage = oauth_tokens(server, "http://127.0.0.1:43117/callback")
    assert storage.tokens is not None

    def revoke() -> None:
        with person_at(server) as person:
            person.revoke_app("SDK client")

    told = ends(second, storage.tokens.access_token, revoke)
    assert told == "This app's access has ended. Revoked by its owner."


def test_the_key_page(server: Server, second: Server) -> None:
    raw, public_id = mint_key(server, "nightly")

    def revoke() -> None:
        with person_at(server) as person:
            page = person.get(f"/keys/{public_id}/revoke/")
            person.post(f"/keys/{public_id}/revoke/", page)

    assert "revoked" in ends(second, raw, revoke)


def test_the_revocation_endpoint_of_rfc_7009(server: Server, second: Server) -> None:
    storage = oauth_tokens(server, "http://127.0.0.1:43118/callback")
    assert storage.tokens is not None and storage.info is not None
    refresh, client_id = storage.tokens.refresh_token or "", storage.info.client_id or ""

    def revoke() -> None:
        answer = httpx2.post(
            f"{server.url}/oauth/revoke", data={"token": refresh, "client_id": client_id}, timeout=at_most(10)
        )
        assert answer.status_code == 200, answer.text

    told = ends(second, storage.tokens.access_token, revoke)
    assert told == "This app's access has ended. Signed out by the app."


def test_a_platform_secret_that_is_changed(server: Server, second: Server) -> None:
    server.query("UPDATE accounts_user SET is_operator = 1 WHERE email = ?", server.quickstart["username"])
    product = add_platform(server)
    token = product.token(product.make_user(), READ)

    def change() -> None:
        with person_at(server) as person:
            page = person.get(f"/platforms/{product.client_id}/secret/")
            assert "tlc_secret_" in person.post(f"/platforms/{product.client_id}/secret/", page).text

    assert "secret" in ends(second, token, change)


def test_a_platform_user_that_is_disabled(server: Server, second: Server) -> None:
    product = add_platform(server, "Gadget")
    user = product.make_user()

    def disable() -> None:
        answer = httpx2.delete(
            f"{server.url}/api/v1/platform/users/{user['user_id']}", headers=product.headers, timeout=at_most(10)
        )
        assert answer.status_code == 204, answer.text

    assert "disabled" in ends(second, product.token(user, READ), disable)


def test_a_person_whose_account_is_disabled(server: Server, second: Server) -> None:
    raw, _ = mint_key(server, "of a disabled account")
    name = server.quickstart["username"]
    disable = "UPDATE accounts_user SET is_active = 0 WHERE email = ?"
    assert "disabled" in ends(second, raw, lambda: server.query(disable, name))
