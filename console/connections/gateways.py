"""Gateways that people run themselves: whether this instance may call one, and whether it is the one it is taken for.

A gateway has no password: who reaches it reaches the account its person signed in to. So the operator lists what may
be called, one person alone links a gateway, and a certificate nobody vouches for is confirmed by its fingerprint.
Where the operator listed nothing, this computer may be called, and by operators alone: everything that runs there and
trusts its neighbours would be within reach of whoever has an account here.

What answers at an address that somebody typed is nobody's business until it is a gateway: whatever else happens there,
the answer is the same.
"""

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from brokers import allowed_hosts, http
from brokers.errors import BrokerError
from brokers.types import ConnectionInfo
from console.accounts.models import User
from console.connections.link_specs import LinkSpec
from console.connections.models import Connection
from console.errors import Code, Refusal

_BROKERS = ("ibkr", "tws")
_NONE_FOR_YOU = (
    "This instance does not connect to gateways for you yet: its operator has to list them in "
    "TRADELATCH_BROKER_ADDRESSES. Until then, only operators can link one, on the computer this instance runs on. "
    "Nothing was saved."
)


class UnknownCertificate(Refusal):
    """Nobody vouches for the gateway's certificate, and the person has not confirmed this one."""

    def __init__(self, message: str, fingerprint: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, message, field="base_url")
        self.fingerprint = fingerprint


def check(kind: LinkSpec, told: Mapping[str, Any], *, by: User) -> None:
    """Raises Refusal unless ``by`` may link what was typed. Looks at its certificate; says nothing to it."""
    if not kind.is_gateway:
        return
    field = kind.fields[0].name
    where = _where(told)
    if where is None:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "This is not a gateway address. It looks like https://localhost:5000/v1/api.",
            field=field,
        )
    if not _may_link(by):
        raise Refusal(Code.NOT_PERMITTED, _NONE_FOR_YOU, field=field)
    allowed = allowed_hosts.parse(settings.BROKER_ADDRESSES)
    try:
        addresses = allowed.addresses(*where)
    except allowed_hosts.OutOfReach as error:
        raise Refusal(Code.NOT_PERMITTED, str(error), field=field) from error
    except BrokerError as error:
        raise Refusal(Code.BROKER_UNAVAILABLE, str(error), field=field) from error
    _check_alone(where, addresses, by)
    if kind.has_certificate and urlsplit(str(told["base_url"])).scheme == "https":
        _check_certificate(kind, str(told["base_url"]), allowed, str(told.get("fingerprint") or ""))


def no_gateway(kind: LinkSpec) -> Refusal:
    """The one answer to whatever was met at an address but a gateway of this kind, or nothing at all."""
    return Refusal(
        Code.BROKER_UNAVAILABLE,
        f"No {kind.title} gateway is running there, or nobody is signed in to it. Start it, sign in, then try "
        "again. Nothing was saved.",
        field=kind.fields[0].name,
    )


def allowed_places(by: User) -> list[str]:
    """What this person may have called, in words."""
    listed = settings.BROKER_ADDRESSES if _may_link(by) else []
    if set(allowed_hosts.LOOPBACK) <= set(listed):
        return ["the computer it runs on", *(each for each in listed if each not in allowed_hosts.LOOPBACK)]
    return list(listed)


def _may_link(by: User) -> bool:
    return by.is_operator or settings.GATEWAYS_OF_EVERYBODY


def _where(told: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of a gateway by a connection's settings; None where they name none."""
    try:
        if "base_url" in told:
            parts = urlsplit(str(told["base_url"]))
            usual = {"https": 443, "http": 80}.get(parts.scheme)
            return (parts.hostname, parts.port or usual) if parts.hostname and usual else None
        return str(told["host"]), int(told["port"])
    except (KeyError, ValueError):
        return None


def _check_alone(where: tuple[str, int], addresses: list[str], by: User) -> None:
    """Two names of one computer are one gateway. What cannot be looked up now is compared by its name."""
    host, port = where
    others = Connection.objects.filter(broker__in=_BROKERS, closed_at=None).exclude(owner=by)
    for told in others.values_list("settings", flat=True):
        other = _where(told)
        if other is None or other[1] != port:
            continue
        try:
            theirs = {str(each) for each in allowed_hosts.look_up(*other)}
        except BrokerError:
            theirs = set()
        if theirs.intersection(addresses) or other[0].casefold() == host.casefold():
            raise _is_somebody_elses()


def check_accounts(kind: LinkSpec, info: ConnectionInfo, *, by: User) -> None:
    """The same by what the gateway shows: an address can have more names than anybody knows. Raises Refusal."""
    shown = [account.account_id for account in info.accounts]
    others = Connection.objects.filter(broker__in=_BROKERS, closed_at=None, default_account__in=shown).exclude(owner=by)
    if kind.is_gateway and others.exists():
        raise _is_somebody_elses()


def _is_somebody_elses() -> Refusal:
    return Refusal(
        Code.NOT_PERMITTED,
        "Somebody else on this instance uses this gateway. It shows the account of whoever signed in there, so only "
        "one person can link it. Run your own gateway on another port or computer. Nothing was saved.",
    )


def _check_certificate(kind: LinkSpec, base_url: str, allowed: allowed_hosts.AllowedHosts, confirmed: str) -> None:
    try:
        seen = http.certificate(base_url, allowed, kind.title)
    except BrokerError as error:
        raise no_gateway(kind) from error
    if hmac.compare_digest(seen.fingerprint, confirmed) or (seen.vouched and not confirmed):
        return
    if confirmed:
        raise UnknownCertificate(
            "The gateway now shows a different certificate from the one you just confirmed. Nothing was saved.",
            seen.fingerprint,
        )
    raise UnknownCertificate(
        "The gateway's certificate is self-signed, which is normal for a gateway. Nothing was saved yet: compare the "
        "fingerprint below, then confirm it.",
        seen.fingerprint,
    )
