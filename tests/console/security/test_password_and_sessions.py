"""A new password and "sign out everywhere else" end every other session, and no app's access."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer
from tests.conftest import PASSWORD
from tests.console.pages import words_of
from tests.console.second_factors import sign_in

pytestmark = pytest.mark.django_db
NEW = "seven purple wardrobes"


def fields(current: str = PASSWORD, password: str = NEW, again: str = NEW) -> dict[str, str]:
    return {"proof-password": current, "password": password, "again": again}


def test_the_password_is_changed_and_the_others_are_signed_out(owner: User, read_key: str) -> None:
    here, _ = sign_in(owner, PASSWORD)
    there, _ = sign_in(owner, PASSWORD)
    assert here.post("/security/password/", fields())["Location"] == "/security/"
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    owner.refresh_from_db()
    assert owner.check_password(NEW)
    assert bearer.authenticate(read_key).user_id == owner.pk
    assert Change.objects.get(action="password changed").user_id == owner.pk


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (fields(current="guess"), "Wrong password"),
        (fields(again="another one entirely"), "do not match"),
        (fields(password="short", again="short"), "at least 12 characters"),
        (fields(password="password1234", again="password1234"), "too common"),
    ],
)
def test_what_does_not_do_changes_nothing(browser: Browser, owner: User, sent: dict[str, str], said: str) -> None:
    assert said in words_of(browser.post("/security/password/", sent))
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_guessing_the_current_password_is_throttled(browser: Browser, owner: User) -> None:
    for _ in range(5):
        browser.post("/security/password/", fields(current="guess"))
    assert "Too many attempts" in words_of(browser.post("/security/password/", fields()))


def test_the_page_lists_where_the_person_is_signed_in(owner: User, other: User) -> None:
    here, _ = sign_in(owner, PASSWORD)
    phone = Browser(headers={"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS) Version/18 Safari/604.1"})
    phone.post("/sign-in/", {"username": owner.email, "password": PASSWORD}, REMOTE_ADDR="203.0.113.7")
    sign_in(other, PASSWORD)
    page = words_of(here.get("/security/"))
    assert page.count("Signed in ") == 2
    assert "Safari on iPhone 203.0.113.7" in page
    assert page.index("This browser") < page.index("Safari on iPhone")


def test_signing_out_everywhere_else_spares_this_browser_and_other_people(owner: User, other: User) -> None:
    here, _ = sign_in(owner, PASSWORD)
    there, _ = sign_in(owner, PASSWORD)
    theirs, _ = sign_in(other, PASSWORD)
    assert here.get("/security/sessions/end/").status_code == 405
    here.post("/security/sessions/end/")
    assert [one.get("/").status_code for one in (here, there, theirs)] == [200, 302, 200]
    assert Change.objects.get(action="other sessions ended").before == {"other_sessions": 1}


def test_every_sign_in_begins_a_session_of_its_own(owner: User) -> None:
    browser = Browser()
    browser.get("/sign-in/passkey/?options")
    before = browser.session.session_key
    browser.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    assert before and browser.session.session_key != before
