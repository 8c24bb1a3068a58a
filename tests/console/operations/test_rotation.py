"""Each secret is replaced while the instance goes on: what the old one signed is good until it is taken away."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client as Browser
from django.test import override_settings
from django.urls import reverse

from console.accounts.models import User
from console.operations import metrics
from console.platforms import token_signing
from tests import serving
from tests.conftest import PASSWORD

OLD, NEW = "old-" * 15, "new-" * 15


@pytest.mark.django_db
def test_a_person_stays_signed_in_from_before_until_after_the_change(owner: User) -> None:
    home = reverse("home")
    with override_settings(SECRET_KEY=OLD):
        browser = Browser()
        browser.post(reverse("sign-in"), {"username": owner.email, "password": PASSWORD})
        assert browser.get(home).status_code == 200
    with override_settings(SECRET_KEY=OLD, SECRET_KEY_FALLBACKS=[NEW]):  # every process knows both
        assert browser.get(home).status_code == 200
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD]):
        assert browser.get(home).status_code == 200
    with override_settings(SECRET_KEY=NEW):
        assert browser.get(home).status_code == 200


@pytest.mark.django_db
def test_without_the_old_key_its_sessions_end(owner: User) -> None:
    with override_settings(SECRET_KEY=OLD):
        browser = Browser()
        browser.post(reverse("sign-in"), {"username": owner.email, "password": PASSWORD})
    with override_settings(SECRET_KEY=NEW):
        assert browser.get(reverse("home")).status_code == 302


def test_several_keys_and_tokens_are_read_from_one_setting(tmp_path: Path) -> None:
    told = "from console import settings as s; print(s.SECRET_KEY, s.SECRET_KEY_FALLBACKS, s.METRICS_TOKENS)"
    environment = serving.environment(tmp_path / "home", 8000) | {
        "TRADELATCH_SECRET_KEY": f"{NEW} {OLD}",
        "TRADELATCH_METRICS_TOKEN": f"{NEW} {OLD}",
    }
    ran = subprocess.run(
        [sys.executable, "-c", told], cwd=serving.REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == f"{NEW} ['{OLD}'] ['{NEW}', '{OLD}']", ran.stderr


@pytest.mark.parametrize(("token", "may"), [(NEW, True), (OLD, True), ("x" * 20, False)])
def test_either_token_reads_the_figures(token: str, may: bool) -> None:
    with override_settings(METRICS_TOKENS=[NEW, OLD]):
        assert metrics._may_read({"headers": [(b"authorization", f"Bearer {token}".encode())]}) is may


@pytest.fixture
def platform_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    yield token_signing._generate(), token_signing._generate()
    token_signing._keys.cache_clear()


def test_two_signing_keys_of_platforms_are_published_and_the_first_signs(
    platform_keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(*keys: str) -> None:
        text = keys[0] if len(keys) == 1 else json.dumps({"keys": [json.loads(each) for each in keys]})
        monkeypatch.setenv("TRADELATCH_PLATFORM_SIGNING_KEY", text)
        token_signing._keys.cache_clear()

    old, new = platform_keys
    use(old)
    [first] = token_signing.key_set()["keys"]
    before = token_signing.sign({"sub": "1"})
    use(old, new)
    assert token_signing.key_set()["keys"][0]["kid"] == first["kid"]
    assert len(token_signing.key_set()["keys"]) == 2
    assert not any("d" in each for each in token_signing.key_set()["keys"])
    use(new, old)
    after = token_signing.sign({"sub": "2"})
    assert token_signing.read(before) == {"sub": "1"} and token_signing.read(after) == {"sub": "2"}
    use(new)
    assert token_signing.read(before) is None and token_signing.read(after) == {"sub": "2"}
