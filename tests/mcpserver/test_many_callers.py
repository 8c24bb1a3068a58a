"""Many callers at once: they share one look at the database and one commit, and nothing else."""

from typing import Any

import anyio
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.shared_reads import share_reads, stop_sharing
from console import scopes
from console.accounts.models import User
from console.audit.models import Call
from console.authority import bearer
from console.authority.bearer import Unauthenticated, WrongAddress
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from mcpserver.asgi import McpApp
from tests.mcpserver.ways import Reply, Way, ask, call, request, short
from tests.mcpserver.wire import MODERN
from tests.patience import at_most

__all__ = ["short"]

pytestmark = pytest.mark.django_db(transaction=True)
READ = frozenset({scopes.Scope.READ})
QUOTE = call("get_quote", {"symbols": ["AAPL"]})


@pytest.fixture
def keys(owner: User, paper: Connection) -> list[str]:
    return [minting.mint(owner, paper, READ, name=f"key {number}")[1] for number in range(12)]


def at_once(bearers: list[str], *rounds: Any) -> list[list[Reply]]:
    """The answers to a call of each, all at once; then what each of ``rounds`` does, and the same again."""
    answers: list[list[Reply]] = []

    async def run() -> None:
        app = McpApp()
        async with app.run():
            for act in (None, *rounds):
                if act is not None:
                    await anyio.to_thread.run_sync(act)
                replies: dict[str, Reply] = {}

                async def one(raw: str, replies: dict[str, Reply] = replies) -> None:
                    replies[raw] = await ask(app, *request(raw, MODERN, "tools/call", QUOTE))

                with anyio.fail_after(at_most(30)):
                    async with anyio.create_task_group() as group:
                        for raw in bearers:
                            group.start_soon(one, raw)
                answers.append([replies[raw] for raw in bearers])

    anyio.run(run)
    return answers


def closing(act: Any) -> Any:
    """In a thread that goes away: its connection with it."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    return run


def test_of_many_keys_each_call_is_its_own_and_has_its_row(short: Way, keys: list[str]) -> None:
    (answers,) = at_once(keys)
    assert {each.status for each in answers} == {200}
    asked = {each.body["result"]["structuredContent"]["context"]["request_id"] for each in answers}
    assert asked == set(Call.objects.values_list("request_id", flat=True))
    public_ids = {minting.public_id_of(raw) for raw in keys}
    assert set(Call.objects.values_list("credential_id", flat=True)) == public_ids


def test_what_is_taken_back_of_many_ends_with_the_next_request_and_the_others_go_on(
    short: Way, keys: list[str], owner: User
) -> None:
    revoked, paused, ended, rescoped = (minting.public_id_of(raw) for raw in keys[:4])

    def take_back() -> None:
        minting.revoke(ApiKey.objects.get(public_id=revoked), by=owner, reason="Enough")
        ConnectedApp.objects.filter(api_keys__public_id=paused).update(paused_at=timezone.now())
        grants.revoke(ConnectedApp.objects.get(api_keys__public_id=ended), by=owner, reason="Enough")
        ApiKey.objects.filter(public_id=rescoped).update(expires_at=timezone.now())

    def give_back() -> None:
        ConnectedApp.objects.filter(api_keys__public_id=paused).update(paused_at=None)

    before, between, after = at_once(keys, closing(take_back), closing(give_back))
    assert [each.status for each in before] == [200] * 12
    assert [each.status for each in between] == [401, 200, 401, 401, *[200] * 8]
    assert between[1].body["result"]["structuredContent"]["error"]["code"] == "app_paused"
    assert [each.status for each in after] == [401, 200, 401, 401, *[200] * 8]
    assert [each.body["result"]["isError"] for each in after if each.status == 200] == [False] * 9


def test_a_secret_that_is_not_the_keys_gets_nothing_beside_those_that_are(short: Way, keys: list[str]) -> None:
    right = keys[0]
    body = right[: right.rindex("_") + 1] + "0" * 30
    wrong = body + minting._checksum(body)
    assert minting.public_id_of(wrong) == minting.public_id_of(right)
    (answers,) = at_once([wrong, right, "tl_paper_nothing", "tla_unknown", *keys[1:4]])
    assert [each.status for each in answers] == [401, 200, 401, 401, 200, 200, 200]


def test_bearers_that_came_together_are_one_statement_and_alone_one_each(keys: list[str]) -> None:
    for raw in keys:  # PostgreSQL takes a second statement for a row that this process has not seen before
        bearer.authenticate(raw)
    with CaptureQueriesContext(connection) as asked:
        share_reads()
        try:
            bearer.look_up_together(keys)
            together = [bearer.authenticate(raw) for raw in keys]
        finally:
            stop_sharing()
        assert len(asked) == 1
        assert [bearer.authenticate(raw) for raw in keys] == together
        assert len(asked) == 1 + len(keys), "outside nothing is remembered"


def test_a_look_made_before_a_change_is_not_used_after_the_next_one(keys: list[str], owner: User) -> None:
    try:
        share_reads()
        bearer.look_up_together(keys)
        bearer.authenticate(keys[0])
        minting.revoke(ApiKey.objects.get(public_id=minting.public_id_of(keys[0])), by=owner, reason="Enough")
        ApiKey.objects.filter(public_id=minting.public_id_of(keys[1])).update(networks=["203.0.113.0/24"])
        share_reads()
        bearer.look_up_together(keys)
        with pytest.raises(Unauthenticated):
            bearer.authenticate(keys[0])
        with pytest.raises(WrongAddress):
            bearer.authenticate(keys[1], ip="127.0.0.1")
        assert bearer.authenticate(keys[2]).connection_label
    finally:
        stop_sharing()
