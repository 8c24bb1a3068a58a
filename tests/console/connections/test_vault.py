"""Brokers' credentials are sealed for one row, under keys outside the database, and can be sealed anew."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from brokers.errors import BrokerUnavailable
from console.connections import broker_access, vault
from console.connections.models import Connection

pytestmark = pytest.mark.django_db
SECRETS = {"key_id": "AK-very-plain", "secret": "s3cret-very-plain"}


@pytest.fixture
def linked(paper: Connection) -> Connection:
    """A row of a broker over the network, with its credentials."""
    paper.broker, paper.settings = "alpaca", {"environment": "paper"}
    paper.sealed = vault.seal(paper.pk, "alpaca", SECRETS)
    paper.save()
    return paper


def rotated() -> str:
    out = StringIO()
    call_command("vault_rotate", stdout=out)
    return out.getvalue().strip()


def test_what_is_sealed_shows_nothing_and_opens_again(linked: Connection) -> None:
    assert not any(value in linked.sealed for value in SECRETS.values())
    assert vault.unseal(linked.sealed, linked.pk, "alpaca") == SECRETS


def test_it_does_not_open_in_another_row_or_for_another_broker(linked: Connection) -> None:
    for connection_id, broker in ((linked.pk + 1, "alpaca"), (linked.pk, "okx")):
        with pytest.raises(BrokerUnavailable, match="cannot be decrypted") as refused:
            vault.unseal(linked.sealed, connection_id, broker)
        assert not any(value in str(refused.value) for value in SECRETS.values())


def test_a_changed_seal_does_not_open(linked: Connection) -> None:
    middle = len(linked.sealed) // 2
    changed = linked.sealed[:middle] + ("A" if linked.sealed[middle] != "A" else "B") + linked.sealed[middle + 1 :]
    with pytest.raises(BrokerUnavailable):
        vault.unseal(changed, linked.pk, "alpaca")


def test_a_connection_whose_key_is_lost_says_so_and_sends_nothing(linked: Connection) -> None:
    with override_settings(CREDENTIAL_KEYS=["another"]), pytest.raises(BrokerUnavailable, match="Restore the keys"):
        broker_access.broker_of(linked)


def test_rotation_seals_under_the_newest_key_once(linked: Connection) -> None:
    assert rotated() == "Encrypted again: 0. Already under the newest key: 1."
    with override_settings(CREDENTIAL_KEYS=["new", *settings.CREDENTIAL_KEYS]):
        assert rotated() == "Encrypted again: 1. Already under the newest key: 0."
        assert rotated() == "Encrypted again: 0. Already under the newest key: 1."
    linked.refresh_from_db()
    with override_settings(CREDENTIAL_KEYS=["new"]):
        assert vault.unseal(linked.sealed, linked.pk, "alpaca") == SECRETS
    with pytest.raises(BrokerUnavailable):
        vault.unseal(linked.sealed, linked.pk, "alpaca")


def test_rotation_names_what_no_key_opens_and_leaves_it(linked: Connection) -> None:
    before = linked.sealed
    with override_settings(CREDENTIAL_KEYS=["lost"]), pytest.raises(CommandError, match=f"connection {linked.pk}"):
        rotated()
    linked.refresh_from_db()
    assert linked.sealed == before


def test_its_keys_are_of_their_own_in_a_file_that_only_this_user_can_read() -> None:
    file = Path(settings.HOME) / "secrets" / "vault_keys"
    assert file.read_text().split() == settings.CREDENTIAL_KEYS
    assert file.stat().st_mode & 0o777 == 0o600
    assert not {*settings.CREDENTIAL_KEYS} & {settings.SECRET_KEY, *settings.SEED_KEYS}


def test_no_value_shows_the_secrets(linked: Connection) -> None:
    broker: Any = broker_access.broker_of(linked)
    shown = repr([broker, broker._broker, linked, vars(linked)]) + json.dumps(linked.settings)
    assert not any(value in shown for value in SECRETS.values())
