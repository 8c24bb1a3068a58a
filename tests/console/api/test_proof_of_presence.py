"""Over REST the proof comes with the request it is for: the refusal says what to send, and holds the challenge."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from console.accounts.models import User
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.keys import management_keys
from console.keys.models import ApiKey
from tests.conftest import PASSWORD
from tests.console.api.rest import Rest, problem
from tests.console.passkeys import Passkey


def wanted(paper: Connection, **fields: Any) -> dict[str, Any]:
    return {"name": "bot", "connection_id": paper.pk, "scopes": ["mcp:trade"], **fields}


def keys() -> int:
    return ApiKey.objects.filter(is_default=False).count()


def signed(rest: Rest, passkey: Passkey, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """The answer of the passkey to what the refusal of this request asks."""
    offered = rest.refused(method, path, body)["proof"]
    assert set(offered) == {"passkey"}
    return {"passkey": json.loads(passkey.answer(offered["passkey"]))}


def test_somebody_without_a_passkey_sends_the_password_along(copied_session: Rest, paper: Connection) -> None:
    told = copied_session.refused("POST", "/keys", wanted(paper))
    assert told["code"] == "re_authentication_required"
    assert told["proof"] == {"typed": ["password"]}
    assert "Send the same request again with your password as proof." in told["detail"]
    wrong: tuple[Any, ...] = ({"password": "guess"}, {"password": ""}, {"password": 1}, {}, "x", None, {"passkey": {}})
    for proof in wrong:
        assert copied_session.refused("POST", "/keys", wanted(paper, proof=proof))["proof"]
    assert keys() == 0
    copied_session.post("/keys", wanted(paper, proof={"password": PASSWORD}), status=201)
    copied_session.refused("POST", "/keys", wanted(paper))
    assert keys() == 1


def test_a_passkey_signs_this_very_request(copied_session: Rest, owner: User, paper: Connection) -> None:
    passkey = Passkey(owner)
    proof = signed(copied_session, passkey, "POST", "/keys", wanted(paper))
    copied_session.refused("POST", "/keys", wanted(paper, name="another", proof=proof))
    proof = signed(copied_session, passkey, "POST", "/keys", wanted(paper))
    copied_session.refused("POST", "/keys?limit=5", wanted(paper, proof=proof))
    assert copied_session.refused("POST", "/keys", wanted(paper, proof={"password": PASSWORD}))["proof"]["passkey"]
    assert keys() == 0
    proof = signed(copied_session, passkey, "POST", "/keys", wanted(paper))
    copied_session.post("/keys", wanted(paper, proof=proof), status=201)
    copied_session.refused("POST", "/keys", wanted(paper, proof=proof))
    assert keys() == 1


def test_what_was_signed_for_one_endpoint_opens_no_other(copied_session: Rest, owner: User, paper: Connection) -> None:
    passkey = Passkey(owner)
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    connections.pause(paper, by=owner)
    connections.disable_trading(paper, by=owner)
    endpoints: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", f"/connections/{paper.pk}/policy", {"policy": "two_step"}),
        ("POST", f"/connections/{paper.pk}/resume", {}),
        ("POST", f"/connections/{paper.pk}/trading-on", {}),
        ("POST", "/keys", wanted(paper)),
    ]
    for method, path, body in endpoints:
        for other in endpoints:
            if other[1] == path:
                continue
            cache.clear()  # guesses are counted
            proof = signed(copied_session, passkey, *other)
            copied_session.refused(method, path, {**body, "proof": proof})
    paper.refresh_from_db()
    assert (paper.policy, paper.paused_at is None, paper.trading_enabled, keys()) == ("owner_approval", False, False, 0)
    cache.clear()
    for method, path, body in endpoints[:3]:
        proof = signed(copied_session, passkey, method, path, body)
        assert copied_session.send(method, path, {**body, "proof": proof}).status_code == 200, path
    paper.refresh_from_db()
    assert (paper.policy, paper.paused_at is None, paper.trading_enabled) == ("two_step", True, True)


def test_with_real_money_it_is_always_a_passkey(copied_session: Rest, owner: User, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live")
    told = copied_session.refused("POST", "/keys", wanted(paper, proof={"password": PASSWORD}))
    assert told["code"] == "re_authentication_required"
    assert told["proof"] == {}
    assert "you need a passkey. You do not have one yet" in told["detail"]
    proof = signed(copied_session, Passkey(owner), "POST", "/keys", wanted(paper))
    copied_session.post("/keys", wanted(paper, proof=proof), status=201)


def test_tightening_takes_no_proof(copied_session: Rest, paper: Connection) -> None:
    put = copied_session.send("PUT", f"/connections/{paper.pk}/policy", {"policy": "owner_approval"})
    assert put.json()["policy"] == "owner_approval"
    assert copied_session.send("PUT", f"/connections/{paper.pk}/limits", {"order_notional": "5"}).status_code == 200
    copied_session.post(f"/connections/{paper.pk}/trading-off")
    copied_session.post(f"/connections/{paper.pk}/pause")


def test_guessing_the_password_here_ends_after_five_and_keeps_nobody_from_signing_in(
    copied_session: Rest, owner: User, paper: Connection
) -> None:
    for _ in range(5):
        copied_session.refused("POST", "/keys", wanted(paper, proof={"password": "guess"}))
    told = copied_session.refused("POST", "/keys", wanted(paper, proof={"password": PASSWORD}))
    assert "Too many attempts" in told["detail"]
    page = Browser().post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    assert page.status_code == 302
    cache.clear()
    copied_session.post("/keys", wanted(paper, proof={"password": PASSWORD}), status=201)


@pytest.mark.parametrize("proof", [{"password": PASSWORD}, {}])
def test_a_key_has_no_proof_to_send(owner: User, paper: Connection, trader: Rest, proof: dict[str, str]) -> None:
    _, raw = management_keys.mint(owner, name="terraform", expires_at=None)
    for rest in (Rest(Browser(), raw), trader):
        told = rest.refused("PUT", f"/connections/{paper.pk}/policy", {"policy": "two_step", "proof": proof})
        assert told["code"] in ("not_permitted", "unknown_argument")


def test_a_proof_of_somebody_else_is_none(copied_session: Rest, owner: User, other: User, paper: Connection) -> None:
    Passkey(owner)
    proof_of_other = Passkey(other)
    offered = copied_session.refused("POST", "/keys", wanted(paper))["proof"]["passkey"]
    proof = {"passkey": json.loads(proof_of_other.answer(offered))}
    assert problem(copied_session.send("POST", "/keys", wanted(paper, proof=proof)))["code"] == (
        "re_authentication_required"
    )
    assert keys() == 0
