"""What an app tries after its access was taken back is refused, and its owner sees it on the app's page."""

import re

from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server


def test_attempts_with_a_revoked_credential_are_refused_and_shown(server: Server) -> None:
    wire = Wire(server.mcp_url, server.quickstart["paper_key_trade"])
    assert wire.call("get_accounts", {}).status_code == 200
    ((app_id,),) = server.query("select id from connected_apps_connectedapp where last_used_at is not null")
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get(f"/apps/{app_id}/revoke/")
        assert person.post(f"/apps/{app_id}/revoke/", page).status_code == 302
        for _ in range(2):
            refused = wire.call("get_accounts", {})
            assert refused.status_code == 401
        shown = person.get(f"/apps/{app_id}/").text
    assert "It has made 2 refused calls since." in re.sub(r"\s+", " ", shown)
