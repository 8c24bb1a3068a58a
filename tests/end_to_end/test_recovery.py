"""A running instance: the page asks, the worker writes the letter, the link in it sets the password."""

import re

from tests import serving
from tests.person import Person

NEW = "seven purple wardrobes"


def test_a_forgotten_password_is_replaced_by_the_letters_link(instance: serving.Server) -> None:
    owner = instance.quickstart["username"]
    with Person(instance.url, owner, NEW) as person:
        page = person.get("/recover/")
        assert person.post("/recover/", page, email=owner).status_code == 200
        paths = serving.until(
            lambda: re.findall(r"/set-password/\S+/", instance.log), seconds=30, what="the letter in the log"
        )
        answer = person.post(paths[-1], person.get(paths[-1]), password=NEW, again=NEW)
        assert answer.headers["location"] == "/sign-in/"
        assert "Live trading rests until" in person.get("/").text
