"""The toolkit takes the scopes that console.scopes has, in its words."""

from django.conf import settings

from console import scopes
from console.oauth.validator import REFRESH_LIFETIME
from console.scopes import Scope


def test_the_toolkit_knows_the_scopes_an_app_may_hold_and_no_other() -> None:
    said = settings.OAUTH2_PROVIDER["SCOPES"]
    assert list(said) == [each.value for each in scopes.ALL]
    assert said[Scope.READ] == scopes.label(frozenset({Scope.READ}))
    assert said[Scope.TRADE] == scopes.label(frozenset({Scope.TRADE}))


def test_a_refresh_token_works_as_long_as_the_toolkit_keeps_it() -> None:
    assert REFRESH_LIFETIME.total_seconds() == settings.OAUTH2_PROVIDER["REFRESH_TOKEN_EXPIRE_SECONDS"]
