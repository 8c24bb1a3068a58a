"""Whether the names typed into limits name anything that the connection's broker knows. It asks, and writes nothing.

A forbidden name that fits nothing would forbid nothing, and nobody would notice; so with an allowed one.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from brokers import instrument_id, underlyings
from brokers.base import Broker
from brokers.errors import AmbiguousSymbol, BrokerError, InvalidSymbol, NotSupported
from brokers.types import Instrument
from console import limits as bounds
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of_read
from console.limits import TITLES, Limits

_FOUND = 20
_LISTED = 20_000


def check_names(connection: Connection, new: Limits, old: Limits) -> None:
    """Look the names up that ``new`` has and ``old`` has not. Raises Refusal, naming the list and the name.

    Names that stand already are left alone: an instrument that is listed no longer keeps nobody from tightening.
    """
    added = {
        "symbols": (new.symbols or frozenset()) - (old.symbols or frozenset()),
        "denied_symbols": new.denied_symbols - old.denied_symbols,
    }
    if connection.closed_at is not None or not any(added.values()):
        return
    try:
        broker = broker_access.broker_of(connection)
        for field, names in added.items():
            for name in sorted(names):
                _check(broker, broker_access.broker_title(connection.broker), field, name)
    except BrokerError as error:
        raise refusal_of_read(error) from error


def _check(broker: Broker, title: str, field: str, name: str) -> None:
    """Raises BrokerError, Refusal."""
    meant = _exact_match(broker, name)
    if meant is None or any(_matches(field, name, each) for each in meant):
        return
    known = [*_search(broker, name), *_all_instruments(broker)]
    if any(_matches(field, name, each) for each in known):
        return
    likely = _suggestions(field, name, known) or _suggestions(
        field, name, _search(broker, underlyings.usual_name(name))
    )
    hint = f" Did you mean {' or '.join(likely)}?" if likely else ""
    raise Refusal(
        Code.UNKNOWN_SYMBOL,
        f"{TITLES[field]}: {title} does not know {name}.{hint} Nothing was changed.",
        field=field,
    )


def _exact_match(broker: Broker, name: str) -> list[Instrument] | None:
    """What the broker has under the very name; None: several, so it is known."""
    try:
        return [broker.instrument(name)]
    except AmbiguousSymbol:
        return None
    except InvalidSymbol:
        return []


def _search(broker: Broker, name: str) -> list[Instrument]:
    try:
        return broker.find_instruments(
            instrument_id.parse(name).name if instrument_id.is_instrument_id(name) else name, limit=_FOUND
        )
    except (InvalidSymbol, NotSupported):
        return []


def _all_instruments(broker: Broker) -> list[Instrument]:
    try:
        return broker.instruments(limit=_LISTED)
    except NotSupported:
        return []


def _matches(field: str, name: str, one: Instrument) -> bool:
    """Whether the list would speak of the instrument, by a word its broker has for it."""
    if field == "symbols":
        return Limits(symbols=frozenset({name})).allows(one.symbol, one.identity)
    if instrument_id.is_instrument_id(name):
        return one.identity is not None and instrument_id.parse(name).agrees(one.identity)
    return not {bounds.alphanumerics(name)}.isdisjoint(map(bounds.alphanumerics, _names_of(one)))


def _names_of(one: Instrument) -> Iterator[str]:
    yield from (one.symbol, one.symbol.partition("@")[0], *bounds.names_of(one))
    if one.identity is not None:
        yield from (one.identity.name, one.identity.pair)


def _suggestions(field: str, name: str, known: list[Instrument]) -> list[str]:
    """What was probably meant: the usual word for it, else what is spelled nearly so."""
    if field == "symbols":
        words = {one.symbol for one in known}
        same = [one.symbol for one in known if underlyings.usual_name(name) in (one.base, one.ticker)]
        return same[:3] or get_close_matches(name, sorted(words), n=3)
    words = {word.upper() for one in known for word in _names_of(one) if word}
    usual = underlyings.usual_pair(name)
    return [usual] if usual != name and usual in words else get_close_matches(name, sorted(words), n=3, cutoff=0.75)
