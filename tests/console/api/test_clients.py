import pytest

from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from tests.console.api.rest import Rest

CLIENT = {"name": "Widget", "redirect_uris": ["https://widget.example.com/cb"], "scopes": ["mcp:trade"]}


def test_a_public_client_has_no_secret(session: Rest, owner: User) -> None:
    made = session.post("/clients", CLIENT, status=201)
    assert made["client_secret"] is None
    assert made["client"]["scopes"] == ["mcp:read", "mcp:trade"]
    assert made["client"]["redirect_uris"] == CLIENT["redirect_uris"]
    assert Client.objects.get(client_id=made["client"]["client_id"]).user == owner


def test_a_confidential_clients_secret_is_shown_once(session: Rest) -> None:
    response = session.send("POST", "/clients", {**CLIENT, "confidential": True})
    assert response["Cache-Control"] == "no-store"
    made = response.json()
    client = Client.objects.get(pk=made["client"]["id"])
    assert client.client_secret == registration.secret_digest(made["client_secret"])
    assert made["client_secret"] not in session.send("GET", f"/clients/{client.pk}").content.decode()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"redirect_uris": ["http://evil.example.com/cb"]}, "redirect_uris"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": [1]}, "redirect_uris.0"),
        ({"redirect_uris": "https://widget.example.com/cb"}, "redirect_uris"),
        ({"scopes": ["admin"]}, "scopes.0"),
        ({"name": " "}, "name"),
        ({"client_secret": "mine"}, "client_secret"),
    ],
)
def test_what_cannot_be_registered_is_named(session: Rest, change: dict[str, object], field: str) -> None:
    told = session.refused("POST", "/clients", {**CLIENT, **change})
    assert (told["status"], told["errors"][0]["field"]) == (400, field)
    assert not Client.objects.exists()


def test_a_deleted_client_is_gone_from_the_list(session: Rest) -> None:
    made = session.post("/clients", CLIENT, status=201)["client"]
    response = session.send("DELETE", f"/clients/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert session.get("/clients")["items"] == []
    assert session.refused("DELETE", f"/clients/{made['id']}")["code"] == "not_found"


def test_somebody_elses_client_is_not_there(session: Rest, others_session: Rest) -> None:
    made = session.post("/clients", CLIENT, status=201)["client"]
    assert others_session.get("/clients")["items"] == []
    for method in ("GET", "DELETE"):
        assert others_session.refused(method, f"/clients/{made['id']}")["code"] == "not_found"
    assert session.get(f"/clients/{made['id']}") == made
