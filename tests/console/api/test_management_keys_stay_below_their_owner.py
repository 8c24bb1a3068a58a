"""A management key begins nothing that it could not change; what it makes is bound, known as its own, ends with it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console import limits
from console.accounts.models import User
from console.audit.models import Call, Change
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from console.halts import services as halts
from console.keys import management_keys, minting
from console.keys.models import ApiKey, ManagementKey
from console.onboarding import playground
from console.scopes import Scope
from console.toolsets import Toolset
from tests.console.api.rest import Rest
from tests.console.pages import text_of, words_of

TRADE = ["mcp:read", "mcp:trade"]
ORDER = {"symbol": "AAPL", "side": "BUY", "quantity": "1"}


@pytest.fixture
def maker(owner: User) -> ManagementKey:
    return management_keys.mint(owner, name="terraform", expires_at=None, makes_trade_keys=True)[0]


@pytest.fixture
def manage(maker: ManagementKey) -> Rest:
    """The holder of a management key that may make keys that trade."""
    made = minting.generate("manage")
    ManagementKey.objects.filter(pk=maker.pk).update(public_id=made.public_id, digest=made.digest)
    maker.refresh_from_db()
    return Rest(Browser(), made.raw)


@pytest.fixture
def app(trade_key: str) -> ConnectedApp:
    """What the owner set limits on: the app of ``trade_key``."""
    return ConnectedApp.objects.get(api_keys__public_id=minting.public_id_of(trade_key))


def wanted(connection: Connection, **fields: Any) -> dict[str, Any]:
    return {"name": "bot", "connection_id": connection.pk, "scopes": TRADE, "expires_in_days": None, **fields}


def place_and_confirm(rest: Rest, order: dict[str, str]) -> Any:
    prepared = rest.post("/orders", order, status=201)
    return rest.post("/orders/confirm", {"confirmation_id": prepared["confirmation"]["id"]})


# -- trade keys only where the owner allowed it -------------------------------------------------------------


def test_without_its_owners_word_it_makes_keys_that_read_and_none_that_trades(owner: User, paper: Connection) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    rest, before = Rest(Browser(), raw), ApiKey.objects.count()
    told = rest.refused("POST", "/keys", wanted(paper))
    assert (told["code"], told["errors"][0]["field"]) == ("not_permitted", "scopes")
    assert ApiKey.objects.count() == before
    assert rest.post("/keys", wanted(paper, scopes=["mcp:read"]), status=201)["key"]["scopes"] == ["mcp:read"]


def test_the_page_asks_for_that_word_and_every_list_tells_it(browser: Browser, owner: User) -> None:
    management_keys.mint(owner, name="reader-maker", expires_at=None)
    page = words_of(browser.get("/keys/"))
    assert "reader-maker" in page and "Read and trade" not in page
    management_keys.mint(owner, name="trade-maker", expires_at=None, makes_trade_keys=True)
    assert "Read and trade" in words_of(browser.get("/keys/"))


# -- what the owner set on the apps of a connection binds a new one too -------------------------------------


def test_a_new_key_keeps_to_the_limits_of_the_app_it_could_stand_in_for(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.set_limits(app, limits.parse({"order_notional": "10"}), by=owner)
    made = manage.post("/keys", wanted(paper), status=201)
    assert Rest(Browser(), made["secret"]).refused("POST", "/orders", ORDER)["code"] == "limit_exceeded"


def test_it_has_the_tightest_of_limits_and_the_sets_of_tools_that_all_have(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    second = minting.mint(owner, paper, frozenset({Scope.READ}), name="report")[0].app
    grants.set_limits(app, limits.parse({"order_notional": "10", "denied_symbols": ["TSLA"]}), by=owner)
    grants.set_limits(second, limits.parse({"order_notional": "20", "daily_notional": "30"}), by=owner)
    grants.set_toolsets(app, {Toolset.TRADE, Toolset.MARKET}, by=owner)
    grants.set_toolsets(second, {Toolset.MARKET, Toolset.ACCOUNT}, by=owner)
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    made = ConnectedApp.objects.get(pk=key["app_id"])
    assert made.limited == limits.parse({"order_notional": "10", "daily_notional": "30", "denied_symbols": ["TSLA"]})
    assert made.toolset_names == ["core", "market"]


def test_where_limits_allow_nothing_together_no_key_is_made(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    second = minting.mint(owner, paper, frozenset({Scope.READ}), name="report")[0].app
    grants.set_limits(app, limits.parse({"symbols": ["AAPL"]}), by=owner)
    grants.set_limits(second, limits.parse({"symbols": ["TSLA"]}), by=owner)
    assert manage.refused("POST", "/keys", wanted(paper))["code"] == "not_permitted"


def test_one_more_key_makes_no_more_room_in_a_day(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.set_limits(app, limits.parse({"daily_notional": "400"}), by=owner)
    first = Rest(Browser(), manage.post("/keys", wanted(paper), status=201)["secret"])
    assert place_and_confirm(first, ORDER)["status"] == "filled"
    second = Rest(Browser(), manage.post("/keys", wanted(paper, name="more"), status=201)["secret"])
    assert second.refused("POST", "/orders", ORDER)["code"] == "limit_exceeded"


@pytest.mark.parametrize("scopes", [TRADE, ["mcp:read"]])
def test_there_is_no_new_key_while_an_app_there_is_paused(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User, scopes: list[str]
) -> None:
    grants.pause(app, by=owner)
    told = manage.refused("POST", "/keys", wanted(paper, scopes=scopes))
    assert told["code"] == "app_paused" and app.name in told["detail"]
    grants.resume(app, by=owner)
    manage.post("/keys", wanted(paper, scopes=scopes), status=201)


def test_nor_one_that_trades_while_an_app_there_is_halted(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    halts.halt_app(app, by=owner)
    told = manage.refused("POST", "/keys", wanted(paper))
    assert told["code"] == "halted" and app.name in told["detail"]
    manage.post("/keys", wanted(paper, scopes=["mcp:read"]), status=201)


def revoke_app(manage: Rest, app: ConnectedApp) -> None:
    manage.post(f"/connected-apps/{app.pk}/revoke")


def revoke_key(manage: Rest, app: ConnectedApp) -> None:
    manage.post(f"/keys/{app.api_keys.get().public_id}/revoke")


@pytest.mark.parametrize("end", [revoke_app, revoke_key])
def test_ending_an_app_with_the_key_is_no_way_out_of_its_limits_or_its_pause(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User, end: Callable[[Rest, ConnectedApp], None]
) -> None:
    grants.set_limits(app, limits.parse({"order_notional": "10"}), by=owner)
    end(manage, app)
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    assert ConnectedApp.objects.get(pk=key["app_id"]).limited == limits.parse({"order_notional": "10"})


def test_a_pause_outlives_the_app_that_a_key_ended(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.pause(app, by=owner)
    manage.post(f"/connected-apps/{app.pk}/revoke")
    assert manage.refused("POST", "/keys", wanted(paper))["code"] == "app_paused"


def test_what_the_owner_ended_in_person_binds_nothing_any_more(
    manage: Rest, session: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.set_limits(app, limits.parse({"order_notional": "10"}), by=owner)
    grants.pause(app, by=owner)
    session.post(f"/connected-apps/{app.pk}/revoke")
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    assert ConnectedApp.objects.get(pk=key["app_id"]).limited == limits.Limits()


def test_a_person_is_bound_by_none_of_it(session: Rest, paper: Connection, app: ConnectedApp, owner: User) -> None:
    grants.set_limits(app, limits.parse({"order_notional": "10"}), by=owner)
    grants.pause(app, by=owner)
    key = session.post("/keys", wanted(paper, never_reason="A bot of mine"), status=201)["key"]
    assert (key["made_by"], ConnectedApp.objects.get(pk=key["app_id"]).limited) == (None, limits.Limits())


def test_a_playground_that_is_over_leaves_nothing_behind(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.set_limits(app, limits.parse({"order_notional": "10"}), by=owner)
    playground.start(owner, app, frozenset({Scope.READ}))
    grants.set_limits(app, limits.Limits(), by=owner, may_widen=True)
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    assert ConnectedApp.objects.get(pk=key["app_id"]).limited == limits.Limits()


# -- addresses -----------------------------------------------------------------------------------------------


def test_a_key_bound_to_addresses_makes_keys_bound_within_them(owner: User, paper: Connection) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None, networks=["127.0.0.0/8"])
    rest = Rest(Browser(), raw)
    assert rest.post("/keys", wanted(paper, scopes=["mcp:read"]), status=201)["key"]["networks"] == ["127.0.0.0/8"]
    narrower = wanted(paper, scopes=["mcp:read"], networks=["127.0.0.1"])
    assert rest.post("/keys", narrower, status=201)["key"]["networks"] == ["127.0.0.1/32"]
    told = rest.refused("POST", "/keys", wanted(paper, scopes=["mcp:read"], networks=["203.0.113.0/24"]))
    assert (told["code"], told["errors"][0]["field"]) == ("not_permitted", "networks")


def test_where_keys_are_bound_to_addresses_a_new_one_is_too(manage: Rest, paper: Connection, owner: User) -> None:
    minting.mint(owner, paper, frozenset({Scope.READ}), name="one", networks=["203.0.113.0/24"])
    assert manage.post("/keys", wanted(paper), status=201)["key"]["networks"] == ["203.0.113.0/24"]
    minting.mint(owner, paper, frozenset({Scope.READ}), name="two", networks=["198.51.100.7/32"])
    assert manage.refused("POST", "/keys", wanted(paper))["errors"][0]["field"] == "networks"
    named = manage.post("/keys", wanted(paper, networks=["198.51.100.7"]), status=201)["key"]
    assert named["networks"] == ["198.51.100.7/32"]
    assert manage.refused("POST", "/keys", wanted(paper, networks=["192.0.2.1"]))["code"] == "not_permitted"


def test_addresses_that_are_none_are_refused_by_name(session: Rest, paper: Connection) -> None:
    told = session.refused("POST", "/keys", wanted(paper, networks=["here"]))
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_argument", "networks")


# -- it ends with what made it -------------------------------------------------------------------------------


def test_what_it_made_never_outlives_it(owner: User, paper: Connection) -> None:
    ends = timezone.now() + timedelta(days=3)
    _, raw = management_keys.mint(owner, name="terraform", expires_at=ends)
    for days in (None, 30):
        body = wanted(paper, scopes=["mcp:read"], expires_in_days=days)
        key = Rest(Browser(), raw).post("/keys", body, status=201)["key"]
        assert ApiKey.objects.get(public_id=key["id"]).expires_at == ends
    body = wanted(paper, scopes=["mcp:read"], expires_in_days=1)
    key = Rest(Browser(), raw).post("/keys", body, status=201)["key"]
    expires_at = ApiKey.objects.get(public_id=key["id"]).expires_at
    assert expires_at is not None and expires_at < ends


def revoke(browser: Browser, key: ManagementKey, raw: str) -> None:
    assert "bot" in words_of(browser.get(f"/keys/manage/{key.public_id}/revoke/"))
    browser.post(f"/keys/manage/{key.public_id}/revoke/")


def leak(browser: Browser, key: ManagementKey, raw: str) -> None:
    browser.post("/keys/leaked/", {"pasted": raw})


def run_out(browser: Browser, key: ManagementKey, raw: str) -> None:
    ManagementKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())


@pytest.mark.parametrize("end", [revoke, leak, run_out])
def test_it_ends_with_the_key_that_made_it(
    browser: Browser, owner: User, paper: Connection, end: Callable[[Browser, ManagementKey, str], None]
) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None, makes_trade_keys=True)
    child = Rest(Browser(), Rest(Browser(), raw).post("/keys", wanted(paper), status=201)["secret"])
    default = Rest(Browser(), raw).post("/connections", {"name": "New", "starting_cash": "1000"}, status=201)["key"]
    for rest in (child, Rest(Browser(), default)):
        rest.get("/orders")
    end(browser, key, raw)
    for rest in (child, Rest(Browser(), default)):
        assert rest.refused("GET", "/orders")["code"] == "unauthenticated"


def test_what_it_prepared_is_released_no_more(browser: Browser, owner: User, paper: Connection) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None, makes_trade_keys=True)
    made = Rest(Browser(), raw).post("/keys", wanted(paper), status=201)
    Rest(Browser(), made["secret"]).post("/orders", ORDER, status=201)
    management_keys.revoke(key, by=owner)
    assert ConnectedApp.objects.get(pk=made["key"]["app_id"]).revoked_at is not None


def test_a_secret_that_replaces_it_is_its_makers_still(owner: User, paper: Connection, maker: ManagementKey) -> None:
    ends = timezone.now() + timedelta(days=3)
    ManagementKey.objects.filter(pk=maker.pk).update(expires_at=ends)
    maker.refresh_from_db()
    key, _ = minting.mint(owner, paper, frozenset({Scope.READ}), name="bot", made_by=maker)
    made, raw = minting.rotate(key, by=owner, overlap=timedelta())
    assert (made.made_by_id, made.expires_at) == (maker.pk, ends)
    management_keys.revoke(maker, by=owner)
    assert Rest(Browser(), raw).refused("GET", "/orders")["code"] == "unauthenticated"


# -- it is known as its own ----------------------------------------------------------------------------------


def test_it_is_listed_beneath_its_maker_on_the_page_in_rest_and_on_the_trace(
    browser: Browser, others_browser: Browser, manage: Rest, maker: ManagementKey, session: Rest, paper: Connection
) -> None:
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    assert key["made_by"] == maker.public_id
    listed = session.get(f"/keys?made_by={maker.public_id}")["items"]
    assert [each["id"] for each in listed] == [key["id"]]
    assert "Created by the management key terraform" in words_of(browser.get("/keys/"))
    trace = f"/keys/{maker.public_id}/activity/"
    assert f"/keys/{key['id']}/activity/" in text_of(browser.get(trace))
    assert others_browser.get(trace).status_code == 404


def test_nobody_else_finds_it_by_its_maker(
    manage: Rest, maker: ManagementKey, others_session: Rest, paper: Connection
) -> None:
    manage.post("/keys", wanted(paper), status=201)
    assert others_session.get(f"/keys?made_by={maker.public_id}")["items"] == []


def test_the_call_that_made_it_names_it_and_so_does_the_change(
    manage: Rest, maker: ManagementKey, paper: Connection
) -> None:
    key = manage.post("/keys", wanted(paper), status=201)["key"]
    call = Call.objects.get(tool="rest:mint_key")
    assert (call.credential_id, key["id"] in call.message) == (maker.public_id, True)
    change = Change.objects.get(action="minted", target="key", target_id=key["id"])
    assert change.detail["management_key"] == maker.public_id
    manage.post(f"/keys/{key['id']}/revoke")
    assert Change.objects.get(action="revoked", target="key").detail["management_key"] == maker.public_id


# -- it resumes nothing and switches nothing on -------------------------------------------------------------


def test_it_resumes_nothing_and_switches_nothing_on(
    manage: Rest, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    grants.pause(app, by=owner)
    grants.set_toolsets(app, {Toolset.MARKET}, by=owner)
    connections.pause(paper, by=owner)
    connections.disable_trading(paper, by=owner)
    changes = Change.objects.count()
    for method, path, body in (
        ("POST", f"/connected-apps/{app.pk}/resume", None),
        ("POST", f"/connections/{paper.pk}/resume", None),
        ("POST", f"/connections/{paper.pk}/trading-on", None),
        ("PATCH", f"/connected-apps/{app.pk}", {"toolsets": ["market", "trade"]}),
    ):
        assert manage.refused(method, path, body)["code"] == "not_permitted", path
    assert Change.objects.count() == changes
    manage.send("PATCH", f"/connected-apps/{app.pk}", {"toolsets": []})
    app.refresh_from_db()
    assert app.toolset_names == ["core"]


def test_nor_does_it_begin_with_trading_on(manage: Rest) -> None:
    body = {"name": "New", "starting_cash": "1000"}
    told = manage.refused("POST", "/connections", {**body, "trading_enabled": True})
    assert (told["code"], told["errors"][0]["field"]) == ("not_permitted", "trading_enabled")
    assert not Connection.objects.filter(name="New").exists()
    assert manage.post("/connections", body, status=201)["connection"]["trading_enabled"] is False


def test_it_stops_what_its_owner_could_stop(manage: Rest, paper: Connection) -> None:
    assert manage.post("/halts", {"connection_id": paper.pk}, status=201)["connection_id"] == paper.pk
    assert manage.post("/halts", {}, status=201)["scope"] == "user"
    assert manage.refused("POST", f"/halts/{manage.get('/halts')['items'][0]['id']}/lift")["code"] == "not_permitted"


def test_somebody_elses_key_halts_nothing_here(other: User, paper: Connection) -> None:
    _, raw = management_keys.mint(other, name="theirs", expires_at=None)
    assert Rest(Browser(), raw).refused("POST", "/halts", {"connection_id": paper.pk})["code"] == "not_found"


# -- clients -------------------------------------------------------------------------------------------------


def test_a_client_it_registers_ends_when_it_is_reported_as_leaked(
    browser: Browser, others_browser: Browser, owner: User
) -> None:
    key, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    body = {"name": "Claude", "redirect_uris": ["https://widget.example.com/cb"], "scopes": ["mcp:read"]}
    client = Rest(Browser(), raw).post("/clients", body, status=201)["client"]
    rest = Rest(browser)
    assert [each["id"] for each in rest.get("/clients")["items"]] == [client["id"]]
    others_browser.post("/keys/leaked/", {"pasted": raw})
    assert rest.get("/clients")["items"] != []
    browser.post("/keys/leaked/", {"pasted": raw})
    assert rest.get("/clients")["items"] == []
    assert client["client_id"] in text_of(browser.get(f"/keys/{key.public_id}/activity/"))
