"""A copy of the owner's cookies opens nothing that lets others do more, and a proof opens one act, once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

from console.accounts import presence
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.connections.models import Connection
from tests.conftest import PASSWORD
from tests.console.oauth.hosts import shown_on
from tests.console.passkeys import Passkey
from tests.console.presence.conftest import Endpoint
from tests.console.presence.steps import STATE, Thief
from tests.console.present import Person, challenge

# How a broker's question comes about takes a broker that asks: see tests/console/orders/test_broker_questions.py.
ACTS = [act for act in PresenceAct if act is not PresenceAct.ANSWER_BROKER]
EndpointOf = Callable[[PresenceAct], Endpoint]


def something_else(person: Person, paper: Connection) -> dict[str, str]:
    """The owner proves presence for an act of their own; what the browser sent as proof."""
    fields = {"name": "mine", "connection": paper.pk, "scope": "trade", "expiry": "30"}
    if person.passkey is None:
        proof = {"proof-password": PASSWORD}
    else:
        proof = {"proof-credential": person.passkey.answer(challenge(person, "/keys/new/", fields))}
    assert Browser.post(person, "/keys/new/", {**fields, **proof}).status_code == 200
    return proof


def test_every_act_has_a_rule_and_words_for_its_page() -> None:
    assert set(presence.ACTS) == set(PresenceAct)
    assert all(rule.words[0].isupper() and rule.words[-1] != "." for rule in presence.ACTS.values())


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("with_passkey", [False, True], ids=["password", "passkey"])
def test_a_copied_cookie_does_nothing_even_after_its_owner_proved_for_something_else(
    person: Person, owner: User, paper: Connection, endpoint_of: EndpointOf, act: PresenceAct, with_passkey: bool
) -> None:
    endpoint = endpoint_of(act)
    needs_one = (
        PresenceAct.REMOVE_FACTOR,
        PresenceAct.NEW_CODES,
        PresenceAct.REPLACE_BROKER_KEY,
    )  # made ready with a passkey, or of it
    person.passkey = Passkey(owner) if with_passkey or act in needs_one else None
    thief = Thief(person)
    used = something_else(person, paper)
    assert not endpoint.opened(lambda: thief.post(endpoint.url, endpoint.fields))
    replayed = {name: value for name, value in used.items() if name == "proof-credential"}
    assert not endpoint.opened(lambda: thief.post(endpoint.url, {**endpoint.fields, **replayed}))
    assert endpoint.opened(lambda: person.post(endpoint.url, endpoint.fields)), "its owner can do it"


@pytest.mark.parametrize("act", ACTS)
def test_a_proof_made_for_one_act_opens_no_other(
    person: Person, owner: User, endpoint_of: EndpointOf, act: PresenceAct
) -> None:
    passkey, endpoint = Passkey(owner), endpoint_of(act)
    elsewhere = {"name": "mine"}
    for url, fields in (
        ("/people/invite/", {"email": "a@example.com"}),
        (endpoint.url, {**endpoint.fields, **elsewhere}),
    ):
        if (url, fields) == (endpoint.url, endpoint.fields):
            continue
        asked = Browser.post(person, f"{url}?challenge", fields)
        if not asked["Content-Type"].startswith("application/json"):
            continue  # this form takes no such field
        proof = {"proof-credential": passkey.answer(asked.json())}
        assert not endpoint.opened(partial(Browser.post, person, endpoint.url, {**endpoint.fields, **proof})), url


@pytest.mark.parametrize("act", ACTS)
def test_a_proof_counts_once_even_where_it_is_sent_twice_at_the_same_moment(
    person: Person, owner: User, endpoint_of: EndpointOf, act: PresenceAct
) -> None:
    passkey, endpoint = Passkey(owner), endpoint_of(act)
    proof = {"proof-credential": passkey.answer(challenge(person, endpoint.url, endpoint.fields))}
    question = person.session[STATE]
    assert endpoint.opened(lambda: Browser.post(person, endpoint.url, {**endpoint.fields, **proof}))
    person.force_login(owner) if act is PresenceAct.CHANGE_PASSWORD else None
    assert not endpoint.opened(lambda: Browser.post(person, endpoint.url, {**endpoint.fields, **proof}))
    session = person.session
    session[STATE] = question
    session.save()
    assert not endpoint.opened(lambda: Browser.post(person, endpoint.url, {**endpoint.fields, **proof}))


@pytest.mark.parametrize("act", ACTS)
def test_somebody_with_a_passkey_cannot_fall_back_on_the_password(
    person: Person, owner: User, endpoint_of: EndpointOf, act: PresenceAct
) -> None:
    endpoint = endpoint_of(act)
    Passkey(owner)
    assert not endpoint.opened(
        lambda: Browser.post(person, endpoint.url, {**endpoint.fields, "proof-password": PASSWORD})
    )


ON_A_CONNECTION = (
    PresenceAct.LOOSEN_POLICY,
    PresenceAct.TRADING_ON,
    PresenceAct.RESUME_CONNECTION,
    PresenceAct.RESUME_APP,
    PresenceAct.WIDEN_LIMITS,
    PresenceAct.TOOLSETS_ON,
    PresenceAct.STOP_ASKING,
    PresenceAct.SHORTEN_DELAY,
    PresenceAct.LENGTHEN_WAIT,
    PresenceAct.MAKE_RULE,
    PresenceAct.MAKE_SIGNAL_ADDRESS,
    PresenceAct.MINT_KEY,
    PresenceAct.ROTATE_KEY,
    PresenceAct.MINT_MANAGEMENT_KEY,
    PresenceAct.START_PLAYGROUND,
    PresenceAct.GRANT,
    PresenceAct.LIFT_HALT,
    PresenceAct.SETTLE_ORDER,
    PresenceAct.RESUME_PLAN,
)
"""Releasing an order on live: tests/console/orders/test_approvals.py, where it is prepared there; starting a plan:
tests/console/plans/test_plan_pages.py."""


@pytest.mark.parametrize("act", ON_A_CONNECTION)
def test_with_real_money_it_is_always_a_passkey(
    person: Person, owner: User, paper: Connection, endpoint_of: EndpointOf, act: PresenceAct
) -> None:
    endpoint = endpoint_of(act)
    Connection.objects.filter(pk=paper.pk).update(
        environment="live", limits={"order_notional": "90000", "daily_notional": "90000"}
    )
    if act is PresenceAct.GRANT:
        endpoint.fields["shown"] = shown_on(person.get(endpoint.url))  # the account is another than the page showed
    told = Browser.post(person, endpoint.url, {**endpoint.fields, "proof-password": PASSWORD})
    assert "you need a passkey. You do not have one yet" in told.content.decode()
    assert 'href="/security/passkey/"' in told.content.decode()
    assert not endpoint.opened(
        lambda: Browser.post(person, endpoint.url, {**endpoint.fields, "proof-password": PASSWORD})
    )
    person.passkey = Passkey(owner)
    assert endpoint.opened(lambda: person.post(endpoint.url, endpoint.fields))


# -- no route is forgotten -----------------------------------------------------------------------------------

ASKS = {
    "plans:start", "plans:resume",
    "orders:release", "orders:say-yes", "orders:settle", "orders:new-rule",
    "connections:link", "connections:replace-key", "connections:resume", "connections:trading-on",
    "connections:limits", "connections:policy", "connections:confirmation-delay", "connections:approval-wait",
    "apps:resume", "apps:limits", "apps:rate", "apps:toolsets", "apps:asking",
    "halts:lift",
    "signals:new", "keys:new", "keys:rotate", "keys:new-management", "playground-start", "oauth2_provider:consent",
    "clients:new", "clients:accept",
    "people:invite", "people:invite-again", "people:act", "operator:unblock-client",
    "platforms:new", "platforms:secret", "platforms:enable",
    "security:password", "security:add-app", "security:add-passkey", "security:remove-factor", "security:new-codes",
}  # fmt: skip
FREE = {
    "only looks, or takes nothing": {
        "home", "connect", "guide", "heard", "desktop-bundle", "server-json", "playground", "developers", "tools",
        "schema", "errors", "activity:list", "orders:rules", "orders:rule", "timeline:list", "timeline:new",
        "timeline:counts", "timeline:entry", "timeline:replay", "timeline:search", "timeline:export",
        "activity:call", "clients:list", "clients:detail", "clients:review", "connections:list",
        "connections:detail", "connections:check", "apps:list", "apps:detail", "halts:list", "keys:list",
        "keys:traced", "orders:list", "orders:waiting", "orders:elsewhere", "orders:closing", "orders:approvals",
        "orders:approval", "orders:now", "orders:question", "orders:detail", "people:list", "platforms:list",
        "platforms:detail", "security:overview", "journal:list", "journal:csv", "journal:trade", "journal:rebuild",
        "performance:page", "performance:executions", "performance:ledger", "practice:list", "help:contents",
        "help:error", "help:picture", "help:page",
        "desk:portfolio", "desk:read", "desk:setup", "desk:test", "error-group", "errors-export", "orders:csv",
        "orders:ndjson", "notifications:channel",
        "notifications:channels", "notifications:manifest", "notifications:overview",
        "notifications:push-worker", "operator:clients", "operator:connections", "operator:grants", "operator:halts",
        "operator:system", "operator:reach", "operator:drip", "tool", "connections:account-numbers",
         "alerts:list", "alerts:detail", "signals:list", "signals:detail",
         "skills:list", "skills:skill", "skills:folder", "skills:all", "skills:plugin",
         "plans:list", "plans:detail",
    },
    "is how somebody sees their own pages": {
        "timeline:views", "timeline:change-view", "timeline:delete-view",
        "error-mute", "error-reopen", "error-resolve", "security:switch-times", "security:time-zone",
    },
    "says what is news: nobody can act by it, and each new place is told by e-mail": {
        "notifications:add-device", "notifications:add-topic", "notifications:add-webhook", "notifications:choose",
        "notifications:link-chat", "notifications:remove", "notifications:test", "notifications:test-email",
        "notifications:send-again",
    },
    "says what its owner is notified of, and never trades": {"alerts:new"},
    "stops, narrows or ends something": {
        "alerts:cancel",
        "orders:end-rule", "plans:decline", "plans:pause", "plans:cancel",
        "orders:cancel", "orders:cancel-elsewhere", "orders:cancel-everything", "orders:reject", "orders:say-no",
        "connections:pause", "connections:trading-off", "connections:unlink", "apps:revoke", "apps:pause",
        "apps:narrow", "halts:everything", "halts:others", "halts:connection", "halts:app", "keys:leaked",
        "keys:revoke", "keys:revoke-management", "clients:refuse", "clients:delete", "platforms:disable",
        "playground-stop", "security:end-sessions", "sign-out", "operator:block-client", "operator:prune-clients",
        "operator:revoke-client", "operator:revoke-everything", "operator:revoke-grant", "operator:revoke-person",
    },
    "prepares what its owner releases with a proof": {"orders:close-everything"},
    "is simulated money": {"connections:add", "practice:new", "practice:reset", "practice:model"},
    "is a letter to its owner": {"orders:letters"},
    "is a way in, or for programs without a session": {
        "signals:receive",
        "sign-in", "sign-in-passkey", "second-step", "identity-start", "identity-callback", "recover",
        "set-password", "oauth2_provider:oauth-resource-metadata", "oauth2_provider:oauth-server-metadata",
        "oauth2_provider:authorize", "oauth2_provider:token", "oauth2_provider:revoke-token",
        "oauth2_provider:dcr-register", "oauth2_provider:dcr-register-management",
    },
}  # fmt: skip


def named(patterns: list[Any], space: str = "") -> Any:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from named(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"{space}{pattern.name}"


def test_every_page_is_known_to_ask_or_known_not_to_and_why() -> None:
    """A new page stands in neither list until somebody has thought about it. REST: the authority matrix."""
    free = set().union(*FREE.values())
    assert not ASKS & free
    assert set(named(get_resolver().url_patterns)) == ASKS | free
