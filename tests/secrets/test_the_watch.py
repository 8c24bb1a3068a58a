"""A credential that is said anywhere is found there, and told without being said again."""

import base64
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.authority import bearer, call_quota
from console.keys import minting
from mcpserver import pipeline
from tests.secrets.known import Known, masked, mint
from tests.secrets.plugin import Plugin
from tests.secrets.watch import SHOWN_ONCE, Leak, Watch, check_server, leaks_of_files

SECRET = mint("credential of these tests", 20)


@pytest.fixture
def plugin(pytestconfig: pytest.Config) -> Iterator[Plugin]:
    found = pytestconfig.pluginmanager.get_plugin("watch-for-secrets")
    assert isinstance(found, Plugin)
    found.watch.look()
    yield found
    found.watch.said.clear()


def places(plugin: Plugin, secret: str = SECRET) -> set[str]:
    return {leak.where for leak in plugin.watch.look() if leak.secret == secret}


def test_it_is_found_in_a_log_line_an_argument_and_a_traceback(plugin: Plugin) -> None:
    log = logging.getLogger("tests.leaky")
    log.error("The key is %s", SECRET)
    assert places(plugin) == {"the log of tests.leaky"}
    try:
        raise ValueError(f"bad key {SECRET}")
    except ValueError:
        log.exception("Something failed")
    assert places(plugin) == {"the log of tests.leaky"}


def test_it_is_found_on_a_page(plugin: Plugin, db: None) -> None:
    Client().post(reverse("sign-in"), {"username": f"{SECRET}@example.com", "password": "not the password"})
    assert "POST /sign-in/" in places(plugin)


def test_it_is_found_in_a_row(plugin: Plugin, db: None) -> None:
    User.objects.create_user(f"{SECRET}@example.com", "correct horse battery")
    assert places(plugin) == {"the table accounts_user"}


def test_it_is_found_in_the_answer_of_a_tool_and_in_the_row_it_leaves(
    plugin: Plugin, trade_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_quota.reset()
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    pipeline.call(bearer.authenticate(trade_key), "get_security", {"symbol": SECRET}, request_id="req_leaky")
    assert places(plugin) == {"the answer of an MCP tool", "the table audit_call"}


def test_it_is_found_in_a_mail(plugin: Plugin) -> None:
    mail.send_mail("Your key", f"It is {SECRET}", None, ["olivia@example.com"])
    plugin.hear_mails()
    assert places(plugin) == {"a mail"}
    mail.outbox.clear()


def test_it_is_found_in_a_database_file_and_in_what_a_server_leaves(tmp_path: Path) -> None:
    known = Known()
    known.note("broker credential", SECRET)
    with sqlite3.connect(tmp_path / "some.sqlite3") as connection:
        connection.execute("CREATE TABLE kept (before TEXT, secret TEXT, after TEXT)")
        connection.execute("INSERT INTO kept VALUES ('aaaaaaaa', ?, 'bbbbbbbb')", (SECRET,))
    connection.close()
    assert [leak.secret for leak in leaks_of_files(tmp_path, known)] == [SECRET]
    with pytest.raises(AssertionError, match=r"some\.sqlite3 says"):
        check_server(tmp_path, "")
    with pytest.raises(AssertionError, match="log says"):
        check_server(tmp_path / "nothing", f"started with {SECRET}")


@pytest.mark.parametrize(
    "spelled",
    [
        lambda text: text,
        lambda text: f'{{"key": "{text}"}}',
        lambda text: quote_plus(text),
        lambda text: base64.b64encode(f"{text}:and more".encode()).decode(),
    ],
    ids=["plain", "JSON", "form", "Basic authentication"],
)
def test_other_spellings_of_it_are_found_too(spelled: object) -> None:
    assert callable(spelled)
    known, secret = Known(), 'p/ss+word 48"16'
    known.note("password", secret)
    told = spelled(secret if '"' not in spelled("x") else secret.replace('"', '\\"'))
    assert known.found_in(f"before {told} after")


def test_a_key_in_lines_is_known_by_one_of_them() -> None:
    known, lines = Known(), ["-----BEGIN KEY-----", "A" * 64, "B" * 64, "C" * 10, "-----END KEY-----"]
    known.note("key", "\n".join(lines))
    assert known.found_in("\\n".join(lines))


def test_a_key_of_another_process_is_known_by_its_looks_and_a_made_up_one_is_not() -> None:
    real = minting.generate("paper").raw
    assert list(Known().found_in(f"key={real}&more")) == [real]
    assert Known().found_in(f"tl_paper_abcdefgh_{'x' * 36}") == {}


def test_the_answer_that_hands_one_over_may_say_that_kind_and_no_other() -> None:
    (place, kinds) = ("POST /keys/new/", SHOWN_ONCE["POST /keys/new/"])
    watch = Watch(Known())
    for kind in (*kinds, "password"):
        watch.known.note(kind, f"secret of the kind {kind}")
        watch.hear(place, f"<p>secret of the kind {kind}</p>")
        watch.hear("the log of anything", f"secret of the kind {kind}")
    assert {(leak.where, leak.kind) for leak in watch.look()} == {
        (place, "password"),
        *(("the log of anything", kind) for kind in (*kinds, "password")),
    }


def test_a_finding_does_not_repeat_what_it_found() -> None:
    said = str(Leak("the log of x", "password", SECRET))
    assert SECRET not in said and masked(SECRET) in said
