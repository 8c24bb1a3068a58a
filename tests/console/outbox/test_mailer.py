"""A letter is a row until a mail server has it: lost by nobody, sent by one, tried again, and given up in the open."""

import smtplib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, transaction
from django.test import Client as Browser
from pytest_django import Settings

from console.accounts.models import User
from console.outbox import mailer
from console.outbox.mailer import Email
from console.outbox.models import OutgoingMail
from tests.clock import Clock
from tests.console.pages import words_of
from tests.patience import at_most

pytestmark = pytest.mark.django_db
GRANT = OutgoingMail.Kind.GRANT
LETTER = Email("An app may now use one of your connections", "Look at it under Connected apps.")


class Server(EmailBackend):
    """A mail server that says no, the way it is told to, before it takes anything."""

    refuses: list[Exception] = []
    tried = 0

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        Server.tried += 1
        if self.refuses:
            raise self.refuses.pop(0)
        return super().send_messages(messages)


@pytest.fixture(autouse=True)
def server(settings: Settings) -> Iterator[type[Server]]:
    settings.EMAIL_BACKEND = f"{__name__}.Server"
    Server.refuses, Server.tried = [], 0
    yield Server


def test_a_letter_is_sent_once_and_its_text_is_gone_then(owner: User) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    assert [mailer.send_due({}), mailer.send_due({})] == [1, 0]
    [sent] = mail.outbox
    assert (sent.to, sent.subject, sent.body) == ([owner.email], LETTER.subject, LETTER.text)
    row = OutgoingMail.objects.get()
    assert (row.sealed, row.attempts, row.sent_at is not None, row.failed_at) == ("", 1, True, None)


def test_the_text_at_rest_is_sealed(owner: User) -> None:
    row = mailer.enqueue(owner, GRANT, LETTER)
    assert row.sealed
    assert "Connected" not in row.sealed and "connections" not in row.sealed


def test_a_letter_belongs_to_the_transaction_of_what_it_tells(owner: User) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        mailer.enqueue(owner, GRANT, LETTER)
        raise RuntimeError
    assert mailer.send_due({}) == 0


def test_a_secret_is_made_when_its_letter_is_sent_and_once(owner: User, server: type[Server], clock: Clock) -> None:
    made: list[str] = []

    def write(user: User) -> Email:
        made.append(user.email)
        return Email("A new password", "secret")

    server.refuses = [ConnectionRefusedError()]
    mailer.enqueue(owner, OutgoingMail.Kind.RECOVERY)
    writers = {OutgoingMail.Kind.RECOVERY: write}
    assert mailer.send_due(writers) == 0
    clock.advance(seconds=31)
    assert mailer.send_due(writers) == 1
    assert (made, mail.outbox[0].body) == ([owner.email], "secret")


def test_a_server_that_is_away_is_asked_once_for_everybody_and_again_later(
    owner: User, other: User, server: type[Server], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for user in (owner, other, owner):
        mailer.enqueue(user, GRANT, LETTER)
    server.refuses = [ConnectionRefusedError()]
    assert [mailer.send_due({}), mailer.send_due({})] == [0, 0]
    assert server.tried == 1
    assert [record.getMessage() for record in caplog.records] == [
        "The mail server cannot be used (ConnectionRefusedError). 3 letters wait: tried again in 30 s."
    ]
    clock.advance(seconds=31)
    assert mailer.send_due({}) == 3


def test_an_address_the_server_refuses_holds_up_nobody_elses_letter(
    owner: User, other: User, server: type[Server]
) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    mailer.enqueue(other, GRANT, LETTER)
    server.refuses = [smtplib.SMTPRecipientsRefused({owner.email: (550, b"no such user")})]
    assert mailer.send_due({}) == 1
    assert mail.outbox[0].to == [other.email]


def test_a_letter_that_cannot_be_opened_or_written_holds_up_nobody_elses(
    owner: User, other: User, clock: Clock
) -> None:
    def broken(user: User) -> Email | None:
        raise LookupError(user.email)

    broken_one = mailer.enqueue(owner, OutgoingMail.Kind.RECOVERY)
    unopened = mailer.enqueue(owner, GRANT, LETTER)
    OutgoingMail.objects.filter(pk=unopened.pk).update(sealed="sealed with a key that is gone")
    mailer.enqueue(other, GRANT, LETTER)
    assert mailer.send_due({OutgoingMail.Kind.RECOVERY: broken}) == 1
    assert [each.to for each in mail.outbox] == [[other.email]]
    for row in (broken_one, unopened):
        row.refresh_from_db()
        assert (row.attempts, row.sent_at, row.failed_at) == (1, None, None)
        assert row.next_at > clock.now
    assert "keys of this instance" in unopened.failure


def test_it_is_tried_less_and_less_often_and_then_given_up_with_one_line(
    owner: User, server: type[Server], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    server.refuses = [smtplib.SMTPRecipientsRefused({}) for _ in range(20)]
    mailer.send_due({})
    for pause in mailer.RETRY_AFTER:
        clock.advance(seconds=pause.total_seconds() - 1)
        tried = server.tried
        mailer.send_due({})
        assert server.tried == tried
        clock.advance(seconds=2)
        mailer.send_due({})
        assert server.tried == tried + 1
    row = OutgoingMail.objects.get()
    assert (row.failed_at is not None, row.sealed, row.failure) == (True, "", "SMTPRecipientsRefused: {}")
    assert len([each for each in caplog.records if "was given up after 8 attempts" in each.getMessage()]) == 1
    clock.advance(seconds=86400)
    assert mailer.send_due({}) == 0


def test_what_would_tell_of_the_past_is_given_up(owner: User, clock: Clock) -> None:
    mailer.enqueue(owner, GRANT, LETTER, good_for=timedelta(minutes=2))
    clock.advance(seconds=121)
    assert mailer.send_due({}) == 0
    assert mail.outbox == []
    assert OutgoingMail.objects.get().failure == "It was due while no worker ran"


def test_a_worker_that_was_killed_while_it_sent_is_succeeded_by_another(owner: User, clock: Clock) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    row = OutgoingMail.objects.get()
    assert mailer.claim(row), "and nothing more: it was killed"
    assert mailer.send_due({}) == 0
    clock.advance(seconds=121)
    assert mailer.send_due({}) == 1


def test_a_disabled_person_gets_no_letter(owner: User) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert mailer.send_due({}) == 0
    assert not OutgoingMail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_four_workers_at_once_send_each_letter_once(owner: User) -> None:
    for number in range(20):
        mailer.enqueue(owner, GRANT, Email(f"Number {number}", "text"))
    barrier = Barrier(4)

    def work(_: int) -> int:
        try:
            barrier.wait(timeout=at_most(30))
            return mailer.send_due({})
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 20
    assert sorted(each.subject for each in mail.outbox) == sorted(f"Number {number}" for number in range(20))


def test_what_ended_is_forgotten_after_a_month_and_what_waits_is_not(owner: User, clock: Clock) -> None:
    mailer.enqueue(owner, GRANT, LETTER)
    mailer.send_due({})
    clock.advance(seconds=31 * 86400)
    mailer.enqueue(owner, GRANT, LETTER)
    assert mailer.delete_old() == 1
    assert OutgoingMail.objects.get().sent_at is None


def test_a_letter_that_was_given_up_is_shown_to_its_person_and_to_operators_alone(
    owner: User, other: User, operator: User, clock: Clock
) -> None:
    mailer.enqueue(owner, GRANT, LETTER, good_for=timedelta(0))
    mailer.send_due({})
    shown = {}
    for user in (owner, other, operator):
        browser = Browser()
        browser.force_login(user)
        shown[user] = words_of(browser.get("/errors/?everyone=1"))
    assert "An app got access" in shown[owner]
    assert owner.email not in shown[other] and "Undelivered e-mails" not in shown[other]
    assert f"An app got access To {owner.email}" in shown[operator]
