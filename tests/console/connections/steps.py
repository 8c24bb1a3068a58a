"""What a person does to link a broker."""

from typing import Any

from django.test import Client as Browser

from console.connections.models import Connection
from tests.console.connections.fakes import Linkable
from tests.console.pages import submit, words_of


def link(browser: Browser, linkable: Linkable, fake: Any = None, **more: Any) -> Any:
    return submit(browser, linkable.page, linkable.form(fake, **more))


def linked(browser: Browser, linkable: Linkable, fake: Any = None, **more: Any) -> Connection:
    response = link(browser, linkable, fake, **more)
    assert "Mine is ready" in words_of(response), words_of(response)
    return Connection.objects.get()


def refusal(response: Any) -> str:
    assert not Connection.objects.exists()
    return words_of(response)
