"""What a tool or a page may read from a broker, for one connection. No write passes here."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.conf import settings

from brokers import instrument_id, registry
from brokers.base import Broker
from brokers.errors import BrokerError, InvalidSymbol, NotSent, UnknownOutcome
from brokers.shared_reads import share_reads, stop_sharing
from brokers.types import Ability, Account, AssetClass, Capabilities, Instrument
from console.connections import account_guard, bulkhead, vault
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.principal import Principal

__all__ = [
    "abilities",
    "account_for",
    "broker_for",
    "broker_names",
    "broker_of",
    "broker_title",
    "choose_account",
    "find_known",
    "is_remote",
    "open_remote",
    "search",
    "share_reads",
    "stop_sharing",
]


def broker_of(connection: Connection) -> Broker:
    """Raises BrokerError when the connection's own settings cannot be used, or its credentials do not open."""
    return _opened(connection.pk, connection.broker, connection.settings, connection.sealed)


def _opened(connection_id: int, broker: str, own: Mapping[str, Any], sealed: str) -> Broker:
    """Secrets are unsealed here, at the last moment, and kept by the adapter alone."""
    if not registry.is_remote(broker):
        return registry.open_broker(broker, own)
    told = {**own, **vault.unseal(sealed, connection_id, broker)}
    return account_guard.guard_account(open_remote(connection_id, broker, told), own)


def open_remote(key: Hashable, broker: str, told: Mapping[str, Any]) -> Broker:
    """A broker over a network, behind the bulkhead of ``key``.

    Opened with a folder that all our processes share, where a venue's call numbers must rise, and with the list of
    computers that may be called where a person typed the address.
    """
    shared = {"state_dir": str(settings.HOME / "brokers"), "may_reach": settings.BROKER_ADDRESSES}
    overrides = settings.BROKER_OVERRIDES.get(broker, {})
    return bulkhead.guarded(registry.open_broker(broker, {**told, **shared, **overrides}), key, broker)


def is_remote(broker: str) -> bool:
    """Whether it answers over a network, and so may hang."""
    return registry.is_remote(broker)


def broker_names() -> frozenset[str]:
    """Names of the brokers this installation has an adapter for."""
    return frozenset(registry.NAMES)


def broker_title(broker: str) -> str:
    """What a person calls it."""
    return registry.NAMES.get(broker, broker)


def capabilities(broker: str) -> Capabilities | None:
    """What the kind of broker takes and does; no connection is opened. None where there is no such adapter."""
    return registry.capabilities(broker)


def abilities(broker: str) -> frozenset[Ability]:
    """What the kind of broker can do; no connection is opened. Nothing for one this installation does not have."""
    known = registry.capabilities(broker)
    return known.abilities if known else frozenset()


def broker_for(principal: Principal) -> AbstractContextManager[Broker]:
    """The broker behind a principal's connection, for reads: its errors come out as Refusals.

    A read that got no answer changed nothing, so it is "unavailable", never "unknown".
    """
    return _Reading(principal)


class _Reading(AbstractContextManager[Broker]):
    """With every call: one made of a generator costs several times as much."""

    __slots__ = ("_principal",)

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def __enter__(self) -> Broker:
        who = self._principal
        try:
            return _opened(who.connection_id, who.broker, who.broker_settings, who.broker_sealed)
        except BrokerError as error:
            raise _refusal_of_read(error) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BrokerError):
            raise _refusal_of_read(error) from error


def _refusal_of_read(error: BrokerError) -> Refusal:
    return refusal_of_read(error) if isinstance(error, NotSent | UnknownOutcome) else refusal_of(error)


def search(
    broker: Broker, query: str, *, asset_class: AssetClass | None, limit: int, by_name: bool
) -> list[Instrument]:
    """As ``find_instruments``; an instrument_id finds what it names. Raises BrokerError."""
    if by_name or not instrument_id.is_instrument_id(query):
        return broker.find_instruments(query, asset_class=asset_class, limit=limit, by_name=by_name)
    try:
        found = broker.instrument(query)
    except InvalidSymbol:
        return []
    return [found] if asset_class in (None, found.asset_class) else []


def find_known(broker: Broker, symbols: Iterable[str]) -> tuple[list[Instrument], list[tuple[str, Refusal]]]:
    """The instruments that a list names, and why each of the others names none. Raises InvalidSymbol if none does."""
    known, missing = list[Instrument](), list[tuple[str, Refusal]]()
    first: InvalidSymbol | None = None
    for symbol in symbols:
        try:
            known.append(broker.instrument(symbol))
        except InvalidSymbol as error:
            first = first or error
            missing.append((symbol, refusal_of(error)))
    if first is not None and not known:
        raise first
    return known, missing


@contextmanager
def account_for(principal: Principal, account_id: str | None) -> Iterator[tuple[Broker, Account]]:
    """As ``broker_for``, with the account that a call means. Raises Refusal as ``choose_account`` does."""
    with broker_for(principal) as broker:
        yield broker, choose_account(broker, account_id, principal.account_id)


def choose_account(broker: Broker, account_id: str | None, current: str) -> Account:
    """The account a call means: the one named, else the app's current one, else the connection's first.

    Raises Refusal when the named one is not on this connection: the call is never turned to another account.
    """
    accounts = broker.accounts()
    wanted = account_id or current
    if not wanted and accounts:
        return accounts[0]
    for account in accounts:
        if account.account_id == wanted:
            return account
    known = ", ".join(account.account_id for account in accounts) or "none"
    raise Refusal(
        Code.UNKNOWN_ACCOUNT,
        f"This connection has no account {wanted!r}. Its accounts: {known}.",
        field="account_id",
    )
