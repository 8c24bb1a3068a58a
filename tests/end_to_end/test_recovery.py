"""A running instance without a mail server: the page asks, the worker writes the letter to a file, the link in it sets
the password. The log names the file, for its operator alone, and never the link."""

import re
import stat

from tests import serving
from tests.person import Person

NEW = "seven purple wardrobes"


def test_a_forgotten_password_is_replaced_by_the_letters_link(instance: serving.Server) -> None:
    owner = instance.quickstart["username"]
    with Person(instance.url, owner, NEW) as person:
        page = person.get("/recover/")
        assert person.post("/recover/", page, email=owner).status_code == 200
        letters = instance.home / "letters"
        [file] = serving.until(lambda: list(letters.glob("*.txt")), seconds=30, what="the letter in its folder")
        path = re.findall(r"/set-password/\S+/", file.read_text())[0]
        serving.until(lambda: str(file) in instance.log, seconds=10, what="the log names the file")
        assert "/set-password/" not in instance.log
        assert [stat.S_IMODE(each.stat().st_mode) for each in (letters, file)] == [0o700, 0o600]
        answer = person.post(path, person.get(path), password=NEW, again=NEW)
        assert answer.headers["location"] == "/sign-in/"
        assert "Live trading is frozen until" in person.get("/").text
