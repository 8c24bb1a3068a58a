"""Each change is told with what was before, what is after, from where it came and how it was proved."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from console import request_origin
from console.accounts.models import User
from console.audit import queries
from console.audit.models import Change, ChangeCategory, ProofChoice
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import management_keys
from console.request_origin import ProofKind
from mcpserver import pipeline
from tests.console.present import Person, present

ROOT = Path(__file__).parents[3]
FROM: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "Firefox/140"}


def test_a_change_on_a_page_tells_before_after_address_browser_and_proof(browser: Browser, paper: Connection) -> None:
    url = f"/connections/{paper.pk}/policy/"
    browser.post(url, {"policy": "owner_approval"}, **FROM)
    tightened = Change.objects.get(action="policy changed")
    assert (tightened.before, tightened.after) == ({"policy": "two_step"}, {"policy": "owner_approval"})
    assert (tightened.ip, tightened.user_agent, tightened.proof) == ("203.0.113.7", "Firefox/140", "")
    present(browser).post(url, {"policy": "two_step"}, **FROM)
    assert Change.objects.filter(action="policy changed").latest("pk").proof == ProofKind.PASSWORD


def test_a_change_of_a_model_tells_through_which_app(
    trade_key: str, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)  # the test's own transaction
    who = bearer.authenticate(trade_key, ip="203.0.113.7", user_agent="host/1")
    pipeline.call(who, "halt_trading", {"reason": "enough"}, request_id="req_1")
    change = Change.objects.get(action="halted")
    assert (change.proof, change.app_label, change.owner_id) == (ProofKind.APP, "Test key mcp:trade", paper.owner_id)
    assert (change.ip, change.user_agent, change.request_id) == ("203.0.113.7", "host/1", "req_1")
    assert change.credential_id == who.credential_id
    assert change.connection_id == paper.pk
    assert request_origin.current() == request_origin.Origin(), "and nothing of it is left in this thread"


def test_a_change_by_a_management_key_names_the_key(owner: User, app: ConnectedApp) -> None:
    key, raw = management_keys.mint(owner, name="CI", expires_at=None)
    sent = {"Authorization": f"Bearer {raw}"}
    url = f"/api/v1/connected-apps/{app.pk}/pause"
    answer = Browser().post(url, {}, content_type="application/json", headers=sent, **FROM)
    assert answer.status_code == 200, answer.content
    change = Change.objects.get(action="paused")
    assert (change.proof, change.credential_id) == (ProofKind.MANAGEMENT_KEY, key.public_id)
    assert (change.ip, change.user_agent, change.request_id) == ("203.0.113.7", "Firefox/140", answer["X-Request-ID"])
    assert (change.before, sorted(change.after)) == ({"paused_at": None}, ["paused_at"])


def test_what_comes_after_a_request_has_no_address_of_it(owner: User, app: ConnectedApp, browser: Browser) -> None:
    browser.get("/", **FROM)
    grants.pause(app, by=None)
    assert Change.objects.get(action="paused").ip == ""
    assert request_origin.current() == request_origin.Origin()


def test_a_person_sees_what_changed_of_theirs_and_nobody_elses(
    owner: User, other: User, operator: User, app: ConnectedApp
) -> None:
    grants.pause(app, by=None)
    assert "paused" in actions(queries.own_changes(owner))
    assert actions(queries.own_changes(other)) == []
    assert actions(queries.visible_changes(other, everyone=True)) == []
    assert "paused" in actions(queries.visible_changes(operator, everyone=True))
    assert actions(queries.visible_changes(operator, everyone=False)) == []


def test_who_is_disabled_sees_that_and_by_whom(owner: User, operator: User) -> None:
    browser = Person()
    browser.force_login(operator)
    browser.post(f"/people/{owner.pk}/disable/", {})
    change = queries.own_changes(owner).get(action="disabled")
    assert (change.user_label, change.before, change.after) == (operator.email, {"active": True}, {"active": False})


def test_a_sweep_that_did_nothing_is_no_row(db: None) -> None:
    from console.audit import log as audit_log

    audit_log.record_system_act("old letters deleted", "letters", 0)
    audit_log.record_system_act("old letters deleted", "letters", 3)
    change = Change.objects.get()
    assert (change.category, change.times, change.user_id) == (ChangeCategory.SYSTEM, 3, None)


def test_the_choices_of_proof_are_the_kinds_of_proof() -> None:
    assert [choice.value for choice in ProofChoice] == [kind.value for kind in ProofKind]


PASSES_ON = {"console/practice/services.py"}
"""Its one writer gets both from its callers."""


def test_every_writer_of_a_change_says_what_was_before_or_is_after() -> None:
    calls = [(path, call) for path, call in writers() if path not in PASSES_ON]
    named = {f"{path}:{call.lineno}": {keyword.arg for keyword in call.keywords} for path, call in calls}
    assert len(named) > 40
    assert [place for place, names in named.items() if not names & {"before", "after"}] == []
    assert [place for place, names in named.items() if "ip" in names] == [], "it is known from the request"


def writers() -> Iterator[tuple[str, ast.Call]]:
    for path in [*(ROOT / "console").rglob("*.py"), *(ROOT / "mcpserver").rglob("*.py")]:
        source = path.read_text()
        if "record_change(" in source and path.parts[-2] != "audit":
            for call in ast.walk(ast.parse(source)):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "record_change":
                    yield str(path.relative_to(ROOT)), call


def actions(changes: Any) -> list[str]:
    return [change.action for change in changes]
