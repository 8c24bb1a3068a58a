"""What a management key makes: below its owner from the start, known as the key's, and ended with it.

What the key may not change it may not begin either. So a new key starts with the tightest of what its owner set on the
apps of the connection, those included that ended without the owner, for the new one could stand in for any of them; and
there is none while one of them is paused, or halted where the new one would trade. A person is bound by none of this.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import ip_allow_list, minting
from console.keys.models import ApiKey, ManagementKey
from console.scopes import Scope

_IN_PERSON = "The owner can create the key in the console. Nothing was created."


@transaction.atomic
def mint(
    maker_id: str,
    connection: Connection,
    granted: frozenset[Scope],
    *,
    name: str,
    expires_at: datetime | None,
    addresses: Sequence[str] = (),
    is_default: bool = False,
    calls_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """A key of the maker's owner. ``maker_id`` is the public id of a management key, ``connection`` its owner's.

    Raises Refusal. The returned text is the only copy there will ever be.
    """
    # Whoever ends the maker waits for this row, and then finds the new key among what it made.
    maker = ManagementKey.objects.select_for_update(of=("self",)).select_related("owner").get(public_id=maker_id)
    if maker.revoked_at is not None:
        raise Refusal(Code.UNAUTHENTICATED, "This management key was revoked.")
    if Scope.TRADE in granted and not maker.makes_trade_keys:
        raise Refusal(
            Code.NOT_PERMITTED,
            f"This management key cannot create keys that trade: its owner did not allow it. {_IN_PERSON}",
            field="scopes",
        )
    apps = list(grants.binding_apps(connection))
    _check_stopped(connection, apps, granted)
    start = grants.tightest_restrictions(apps)
    if start is None:
        raise Refusal(
            Code.NOT_PERMITTED,
            f"The limits of the apps on {connection.name} allow nothing when combined, and a new key would have to "
            "respect all of them."
            f" {_IN_PERSON}",
        )
    if calls_per_minute is not None:
        start = replace(start, calls_per_minute=min(calls_per_minute, start.calls_per_minute or calls_per_minute))
    return minting.mint(
        maker.owner,
        connection,
        granted,
        name=name,
        expires_at=expires_at,
        is_default=is_default,
        networks=_addresses(maker, apps, addresses),
        made_by=maker,
        start=start,
    )


def _check_stopped(connection: Connection, apps: Sequence[ConnectedApp], granted: frozenset[Scope]) -> None:
    paused = next((app for app in apps if app.paused_at is not None), None)
    if paused is not None:
        raise Refusal(
            Code.APP_PAUSED,
            f"The app {paused.name} on {connection.name} is paused, and a new key would get around that. {_IN_PERSON}",
        )
    # By the name of the relation: halts are no business of keys, but for this.
    halted = ConnectedApp.objects.filter(connection=connection, halts__isnull=False, halts__lifted_at=None).first()
    if halted is not None and Scope.TRADE in granted:
        raise Refusal(
            Code.HALTED,
            f"Order entry is halted for {halted.name} on {connection.name}, and a new key would get around that. "
            f"{_IN_PERSON}",
        )


def _addresses(maker: ManagementKey, apps: Sequence[ConnectedApp], wanted: Sequence[str]) -> list[str]:
    """What the new key is bound to: within the maker's own, and within those of the keys that are bound there."""
    bound = _address_lists(apps)
    every: list[list[str]] = [each for each in (maker.networks, *bound) if each]
    if not every:
        return list(wanted)
    if wanted:
        around = [each for each in (maker.networks, [one for some in bound for one in some]) if each]
        if all(ip_allow_list.within(one, each) for one in wanted for each in around):
            return list(wanted)
        raise Refusal(
            Code.NOT_PERMITTED,
            "The new key would work from addresses where neither the management key nor any address-restricted key on "
            "this connection works."
            f" {_IN_PERSON}",
            field="networks",
        )
    common = every[0]
    for each in every[1:]:
        common = ip_allow_list.intersection(common, each)
    if not common or len(common) > ip_allow_list.MOST:
        raise Refusal(
            Code.NOT_PERMITTED,
            "Keys on this connection are restricted to certain addresses. Give networks within those. Nothing was "
            "created.",
            field="networks",
        )
    return common


def _address_lists(apps: Sequence[ConnectedApp]) -> list[list[str]]:
    """The address lists of the keys that work there, and of those that ended without their owner."""
    ended = [app.pk for app in apps if app.still_binds]
    keys = ApiKey.objects.filter(app__in=apps)
    found = [
        key.networks
        for key in keys
        if key.networks and (key.revoked_at is None or key.app_id in ended) and not _has_expired(key)
    ]
    return [list(each) for each in dict.fromkeys(tuple(each) for each in found)]


def _has_expired(key: ApiKey) -> bool:
    return key.replaced_by_id is not None and key.expires_at is not None and key.expires_at <= timezone.now()
