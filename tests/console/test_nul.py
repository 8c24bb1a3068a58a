"""A NUL character is a bad request, on every database."""

import pytest
from django.test import Client

from console.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/orders/%00/", "/activity/?tool=%00", "/keys/%00/revoke/"])
def test_in_an_address(client: Client, owner: User, path: str) -> None:
    client.force_login(owner)
    assert client.get(path).status_code == 400
