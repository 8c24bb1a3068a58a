"""Making a signal address. It ends with its app, which also has its limits and its pause."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from brokers.types import Environment
from console import display_name_rules, ids
from console.accounts import seal
from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps import grants
from console.connected_apps.grants import AppRestrictions
from console.connections import limit_name_checks
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.limits import NONE, Limits, parse
from console.principal import Principal, Redeemer
from console.scopes import Scope, Source
from console.signals import senders
from console.signals.mapping import Template
from console.signals.models import SenderProof, SignalAddress

MOST_OPEN = 20
"""Addresses of one person that take signals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressTerms:
    """What an owner chose for an address."""

    name: str
    proof: SenderProof
    template: Template
    most_value: Decimal
    """Of one order, in the connection's currency: the limit of the app."""
    networks: Sequence[str] = ()
    per_minute: int = 6
    same_after: int = 300
    oldest: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    address: SignalAddress
    part: str
    """The last part of its address: the only copy there will ever be."""
    secret: str
    """The same of its secret."""


def owned_by(owner: User) -> QuerySet[SignalAddress]:
    return SignalAddress.objects.filter(app__owner=owner).select_related("app__connection")


def make(owner: User, connection: Connection, wanted: AddressTerms) -> Made:
    """Raises Refusal. Its broker is asked whether it knows the instruments."""
    name = display_name_rules.clean_display_name(wanted.name)
    template = wanted.template
    bounds = Limits(
        order_notional=wanted.most_value,
        symbols=template.symbols,
        order_types=frozenset({template.order_type}),
        orders_per_minute=wanted.per_minute,
    )
    limits = parse(bounds.stored())
    limit_name_checks.check_names(connection, limits, NONE)
    part, secret = senders.new_part(), senders.new_secret(wanted.proof)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)
        if owned_by(owner).filter(app__revoked_at=None).count() >= MOST_OPEN:
            raise Refusal(
                Code.INVALID_ARGUMENT, f"You have {MOST_OPEN} signal addresses. End one before you create another."
            )
        app = grants.grant(
            owner,
            connection,
            frozenset({Scope.TRADE}),
            source=Source.SIGNAL,
            name=name,
            start=AppRestrictions(limits=limits, toolsets=None),
            ask_in_assistant=False,
        )
        grants.activate(app)
        address = SignalAddress.objects.create(
            app=app,
            public_id=ids.new("sga"),
            path_digest=senders.digest(part),
            proof=wanted.proof,
            secret_digest=senders.digest(secret),
            sealed=seal.seal(secret) if wanted.proof == SenderProof.SIGNATURE else "",
            networks=list(wanted.networks),
            template=template.stored(),
            per_minute=wanted.per_minute,
            same_after=wanted.same_after,
            oldest=wanted.oldest,
        )
        audit_log.record_change(
            owner,
            "created",
            "signal address",
            address.public_id,
            app.name,
            after={
                "proof": wanted.proof.value,
                "networks": list(wanted.networks),
                "per_minute": wanted.per_minute,
                "same_after": wanted.same_after,
                "oldest": wanted.oldest,
                **template.stored(),
            },
            owner_id=owner.pk,
            connection_id=connection.pk,
        )
    return Made(address=address, part=part, secret=secret)


def principal_of(address: SignalAddress, *, ip: str, user_agent: str) -> Principal:
    """Who acts by a signal, as its rows are now. What it prepares is its owner's to release."""
    app = address.app
    connection, owner = app.connection, app.owner
    return Principal(
        user_id=owner.pk,
        user_label=owner.email,
        source=Source.SIGNAL,
        credential_id=address.public_id,
        app_id=app.pk,
        app_label=app.name,
        paused=app.paused_at is not None,
        scopes=app.granted,
        toolsets=None if app.toolsets is None else frozenset(app.toolsets),
        calls_per_minute=app.calls_per_minute,
        ask_in_assistant=False,
        connection_id=connection.pk,
        connection_label=connection.name,
        connection_paused=connection.paused_at is not None,
        trading_enabled=connection.trading_enabled,
        broker=connection.broker,
        broker_settings=connection.settings,
        broker_sealed=connection.sealed,
        environment=Environment(connection.environment),
        account_id=app.current_account or connection.default_account,
        ip=ip,
        user_agent=user_agent,
        redeemer=Redeemer.OWNER,
    )
