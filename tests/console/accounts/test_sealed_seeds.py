"""Seeds and the key that seals them are never in the same place."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from console.accounts import seal, second_factors
from console.accounts.models import User
from console.config import instance_dir
from tests.console.present import at_the_browser
from tests.console.second_factors import SECRET, code, give_app, shown_secret


def test_the_database_holds_no_seed_in_the_clear(owner: User) -> None:
    factor = give_app(owner)
    second_factors.new_codes(owner)
    for kept in second_factors.Factor.objects.filter(user=owner):
        assert SECRET not in str(kept.data)
        assert "gAAAA" in str(kept.data)
    assert seal.unseal(factor.data["secret"]) == SECRET


def test_nor_does_the_session_while_the_seed_is_being_set_up(owner: User) -> None:
    browser = at_the_browser(owner)
    secret = shown_secret(browser.post("/security/app/"))
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())


def test_another_key_opens_nothing(owner: User) -> None:
    sealed = seal.seal("seed")
    with override_settings(SEED_KEYS=["another"]), pytest.raises(InvalidToken):
        seal.unseal(sealed)
    with override_settings(SECRET_KEY="another"):
        assert seal.unseal(sealed) == "seed"


def test_a_new_key_in_front_seals_while_the_old_one_still_opens(owner: User) -> None:
    give_app(owner)
    with override_settings(SEED_KEYS=["new", *settings.SEED_KEYS]):
        assert second_factors.check_code(owner, code())
        sealed = seal.seal("seed")
    with override_settings(SEED_KEYS=["new"]):
        assert seal.unseal(sealed) == "seed"


def test_the_key_is_a_file_of_its_own_that_only_its_owner_reads() -> None:
    file = settings.HOME / "secrets" / "seed_keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().split() == settings.SEED_KEYS
    assert settings.SECRET_KEY not in settings.SEED_KEYS


def test_a_database_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="seed_keys, or set TRADELATCH_SEED_KEYS"):
        instance_dir.secret(tmp_path, "seed_keys", database_exists=True)
