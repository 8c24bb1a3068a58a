"""Authorization requests: reading one from a URL, and issuing the code that answers it (OAuth 2.1, 4.1)."""

import re
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone

from console import scopes
from console.accounts.models import User
from console.clients.models import Client
from console.connected_apps import grants
from console.connections.models import Connection
from console.oauth import emails, resource_indicator, toolkit
from console.oauth.models import Grant
from console.oauth.toolkit import errors
from console.oauth.validator import digest
from console.scopes import Scope, Source

CODE_LIFETIME = timedelta(seconds=60)
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    client: Client
    redirect_uri: str
    state: str
    code_challenge: str
    offered: frozenset[Scope]
    """The most that may be granted: what was asked for, as far as the client may hold it. Never empty."""

    def answer(self, **parameters: str) -> str:
        """The redirect URI with the answer, its ``state`` and the issuer (RFC 9207)."""
        return answer(self.redirect_uri, self.state, **parameters)


def read(query: QueryDict) -> AuthorizationRequest:
    """Raises oauthlib's FatalClientError when nobody may be redirected, OAuth2Error when the client is to know."""
    # Encoded anew: oauthlib raises ValueError on a query that Django could read.
    request, found = toolkit.read_authorization_request(f"{settings.ISSUER}/oauth/authorize?{query.urlencode()}")
    challenge = found["code_challenge"]
    if found["code_challenge_method"] != "S256" or not _S256.fullmatch(challenge):
        raise errors.InvalidRequestError(
            description="PKCE is required: code_challenge_method=S256 with a code_challenge of 43 characters.",
            request=request,
        )
    resource_indicator.check(query.getlist("resource"), request)
    client: Client = request.__dict__["client"]
    asked = scopes.parse(query.get("scope", "")) or frozenset(scopes.ALL)
    return AuthorizationRequest(
        client=client,
        redirect_uri=found["redirect_uri"],
        state=found["state"] or "",
        code_challenge=challenge,
        offered=(asked & client.may_hold) | {Scope.READ},
    )


@transaction.atomic
def allow(
    asked: AuthorizationRequest,
    owner: User,
    connection: Connection,
    granted: frozenset[Scope],
    *,
    ask_in_assistant: bool = True,
) -> str:
    """Make the app that the person allowed, and the code that starts it. Only the code's digest is kept."""
    if not granted <= asked.offered:
        raise ValueError("A grant can be narrower than what was requested, never wider.")
    if asked.client.awaits_review:
        raise ValueError("An operator has not accepted this client.")
    app = grants.grant(
        owner,
        connection,
        granted,
        source=Source.OAUTH,
        name=asked.client.name,
        client=asked.client,
        ask_in_assistant=ask_in_assistant,
    )
    emails.send_grant_email(app)
    code = toolkit.new_code()
    Grant.objects.create(
        user=owner,
        app=app,
        application=asked.client,
        code=digest(code),
        expires=timezone.now() + CODE_LIFETIME,
        redirect_uri=asked.redirect_uri,
        scope=app.scopes,
        code_challenge=asked.code_challenge,
        code_challenge_method="S256",
        resource=[settings.MCP_URL],
    )
    return code


def answer(redirect_uri: str, state: str, **parameters: str) -> str:
    named = {**parameters, "state": state} if state else parameters
    return toolkit.with_parameters(redirect_uri, [*named.items(), ("iss", settings.ISSUER)])
