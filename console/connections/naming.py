"""Whether the names typed into limits name anything that the connection's broker knows. It asks, and writes nothing.

A forbidden name that fits nothing would forbid nothing, and nobody would notice; so with an allowed one.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from brokers import built_on, instrument_id
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


def check(connection: Connection, new: Limits, old: Limits) -> None:
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
    meant = _one(broker, name)
    if meant is None or any(_fits(field, name, each) for each in meant):
        return
    known = [*_search(broker, name), *_all(broker)]
    if any(_fits(field, name, each) for each in known):
        return
    likely = _likely(field, name, known) or _likely(field, name, _search(broker, built_on.usual(name)))
    hint = f" Did you mean {' or '.join(likely)}?" if likely else ""
    raise Refusal(
        Code.UNKNOWN_SYMBOL,
        f"{TITLES[field]}: {name} names nothing that {title} knows.{hint} Nothing was changed.",
        field=field,
    )


def _one(broker: Broker, name: str) -> list[Instrument] | None:
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


def _all(broker: Broker) -> list[Instrument]:
    try:
        return broker.instruments(limit=_LISTED)
    except NotSupported:
        return []


def _fits(field: str, name: str, one: Instrument) -> bool:
    """Whether the list would speak of the instrument, by a word its broker has for it."""
    if field == "symbols":
        return Limits(symbols=frozenset({name})).allows(one.symbol, one.identity)
    if instrument_id.is_instrument_id(name):
        return one.identity is not None and instrument_id.parse(name).agrees(one.identity)
    return not {bounds.letters(name)}.isdisjoint(map(bounds.letters, _words(one)))


def _words(one: Instrument) -> Iterator[str]:
    yield from (one.symbol, one.symbol.partition("@")[0], *bounds.names_of(one))
    if one.identity is not None:
        yield from (one.identity.name, one.identity.pair)


def _likely(field: str, name: str, known: list[Instrument]) -> list[str]:
    """What was probably meant: the usual word for it, else what is spelled nearly so."""
    if field == "symbols":
        words = {one.symbol for one in known}
        same = [one.symbol for one in known if built_on.usual(name) in (one.base, one.ticker)]
        return same[:3] or get_close_matches(name, sorted(words), n=3)
    words = {word.upper() for one in known for word in _words(one) if word}
    usual = built_on.usual_of_pair(name)
    return [usual] if usual != name and usual in words else get_close_matches(name, sorted(words), n=3, cutoff=0.75)
