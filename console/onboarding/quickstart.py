"""An instance that can be used at once: an owner, a paper connection, a key that trades and one that reads.

Made once. What a person renamed, closed or revoked since is never made again behind their back.
"""

import os
import secrets
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps.models import ConnectedApp
from console.errors import Code, Refusal
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.scopes import Scope, Source

TRADE_KEY = "quickstart trade"
READ_KEY = "quickstart read"
_SCOPES = {TRADE_KEY: frozenset({Scope.READ, Scope.TRADE}), READ_KEY: frozenset({Scope.READ})}
# Without 0 o 1 l i: the password is read from one screen and typed on another.
_READABLE = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickstartResult:
    """How to get in. A secret is there only in the answer of the run that made it."""

    console_url: str
    mcp_url: str
    username: str
    password: str | None = None
    paper_key_trade: str | None = None
    paper_key_read: str | None = None


@transaction.atomic
def prepare(*, rotate: bool = False) -> QuickstartResult:
    """Make what was never made. With ``rotate``: a new password and new secrets, and the old ones end.

    Raises Refusal when the owner's address belongs to somebody who is not an operator.
    """
    owner, password = _owner()
    keys: dict[str, str] = {}
    if not owner.connections.exists():
        keys = _practice(owner)
    elif rotate:
        keys = _rotate_keys(owner)
    if rotate and password is None:
        password = _new_password()
        owner.set_password(password)
        owner.save(update_fields=["password"])
        audit_log.record_change(
            owner, "password replaced", "user", owner.pk, owner.email, after={"by": "the quickstart command"}
        )
    return QuickstartResult(
        console_url=f"{settings.PUBLIC_URL}/",
        mcp_url=settings.MCP_URL,
        username=owner.email,
        password=password,
        paper_key_trade=keys.get(TRADE_KEY),
        paper_key_read=keys.get(READ_KEY),
    )


def _new_password() -> str:
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(4))


def _owner() -> tuple[User, str | None]:
    """The first operator, whatever their address is by now; made with a password when there is none."""
    email = os.environ.get("TRADELATCH_OWNER_EMAIL", "owner@tradelatch.local").strip()
    operators = User.objects.filter(is_operator=True, is_active=True).order_by("pk")
    if found := operators.filter(email__iexact=email).first() or operators.first():
        return found, None
    if User.objects.filter(email__iexact=email).exists():
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{email} already exists but is not an active operator: set TRADELATCH_OWNER_EMAIL to another address.",
            field="email",
        )
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refusal(
            Code.INVALID_ARGUMENT, f"TRADELATCH_OWNER_EMAIL {email!r} is not an e-mail address.", field="email"
        ) from error
    password = _new_password()
    owner = User.objects.create_user(email, password, is_operator=True)
    audit_log.record_change(owner, "added", "user", owner.pk, owner.email, after={"operator": True})
    return owner, password


def _practice(owner: User) -> dict[str, str]:
    connection, read = connection_lifecycle.open_paper(
        owner, name="Practice", starting_cash=Decimal(100_000), key_name=READ_KEY
    )
    _, trade = minting.mint(owner, connection, _SCOPES[TRADE_KEY], name=TRADE_KEY)
    return {TRADE_KEY: trade, READ_KEY: read}


def _rotate_keys(owner: User) -> dict[str, str]:
    """A new secret for each of the two keys. A revoked key, asked for by name here, comes back as a new app."""
    made = {}
    for name, scopes in _SCOPES.items():
        app = (
            ConnectedApp.objects.select_related("connection")
            .filter(owner=owner, source=Source.API_KEY, name=name, connection__closed_at=None)
            .order_by("-pk")
            .first()
        )
        if app is None:
            continue
        if app.revoked_at is not None:
            _, made[name] = minting.mint(owner, app.connection, scopes, name=name)
            continue
        old = list(app.api_keys.filter(revoked_at=None))
        # The new one first: when its last secret ends, the app ends with it.
        _, made[name] = minting.add_secret(app, by=owner, is_default=any(key.is_default for key in old))
        for key in old:
            minting.revoke(key, by=owner, reason="Replaced by a new secret")
    return made
