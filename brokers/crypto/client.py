"""One venue's calls: those of one key behind one gate, and the public ones of all keys together."""

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from brokers.crypto import ccxt_loading, error_outcomes
from brokers.crypto.call_queue import Gate, Nonces, Priority
from brokers.crypto.error_outcomes import Codes
from brokers.errors import AuthFailed, BrokerError, BrokerUnavailable

_MARKETS_KEPT = 3600.0
_CLOCK_KEPT = 3600.0
_ORDERS_KEPT = 4096
_CLIENTS_KEPT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What sets one venue apart before any call."""

    title: str
    """Its name for people."""
    library_name: str
    codes: Codes
    per_second: float
    """Calls one key may make a second for long, under what the venue allows its smallest customers."""
    burst: int = 0
    """Calls at once after a rest; 0 for those of one second."""
    public_per_second: float = 10
    """Calls without a key, of all connections together."""
    credentials: Mapping[str, str]
    """Setting of the connection → ccxt's name for it."""
    config: Callable[[Mapping[str, Any]], dict[str, Any]]
    """ccxt settings for a connection's settings."""
    prepare: Callable[[Any, Mapping[str, Any]], None] = lambda exchange, settings: None
    """Sets demo hosts and headers on a new instance."""
    follows_clock: bool = True
    """Its signatures hold a time it checks."""
    rising_nonces: bool = False


class CcxtClient:
    """An instance of ccxt, used by one thread at a time."""

    def __init__(
        self, venue: Venue, settings: Mapping[str, Any], config: dict[str, Any], nonces: Nonces | None = None
    ) -> None:
        """Without credentials in ``config`` it is the line of all connections together."""
        seconds = float(settings.get("timeout", 10.0))
        self._most = 2 * seconds
        self.venue = venue
        self.exchange = ccxt_loading.exchange(
            venue.library_name, {"timeout": int(seconds * 1000), **venue.config(settings), **config}
        )
        self.exchange.has["fetchCurrencies"] = False  # keys with few permissions may not read them
        venue.prepare(self.exchange, settings)
        if base := settings.get("base_url"):
            _point_at(self.exchange, str(base))
        usual = venue.per_second if config else venue.public_per_second
        per_second = float(settings.get("per_second", usual))
        burst = venue.burst if config and venue.burst else max(int(per_second), 1)
        self._gate = Gate(per_second, burst, patience=3 * seconds)
        self._nonces = nonces
        if nonces is not None:
            now = self.exchange.milliseconds
            self.exchange.nonce = lambda: nonces.next(now())

    def write(self, turn: Priority, name: str, *args: Any) -> Any:
        """Once. Raises what ``error_outcomes.write_error`` makes of an error; the answer itself is the caller's to
        doubt.
        """
        return self._call(turn, error_outcomes.write_error, name, args)

    def read(self, name: str, *args: Any, **named: Any) -> Any:
        return self._call(Priority.READ, error_outcomes.read_error, name, args, named)

    def _call(
        self,
        turn: Priority,
        failed: Callable[[Exception, Codes, error_outcomes.Answered], BrokerError],
        name: str,
        args: tuple[Any, ...],
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        other_processes: AbstractContextManager[None] = self._nonces.held() if self._nonces else nullcontext()
        with self._gate.turn(turn), other_processes:
            self.exchange.last_json_response = self.exchange.last_status = None
            try:
                with ccxt_loading.within(self._most):
                    return getattr(self.exchange, name)(*args, **(named or {}))
            except Exception as error:
                answer = error_outcomes.Answered(self.exchange.last_status, self.exchange.last_json_response)
                made = failed(error, self.venue.codes, answer)
        # Not chained: what ccxt says holds the address and the venue's whole answer.
        raise made


class PublicClient(CcxtClient):
    """What needs no key: markets and prices, shared by every connection to one venue's host."""

    def __init__(self, venue: Venue, settings: Mapping[str, Any]) -> None:
        super().__init__(venue, settings, {})
        self._loading = Lock()
        self._loaded = 0.0
        self.fetched_at = datetime.fromtimestamp(0, UTC)

    def load(self) -> None:
        """Markets, apart from any order. Raises BrokerUnavailable when none are known and none can be had."""
        with self._loading:
            if self._loaded and time.monotonic() - self._loaded < _MARKETS_KEPT:
                return
            try:
                self.read("load_markets", True)
            except BrokerError as error:
                if not self._loaded:
                    raise BrokerUnavailable(f"The markets of {self.venue.title} could not be read.") from error
                return
            self._loaded = time.monotonic()
            self.fetched_at = datetime.now(UTC)


@dataclass(slots=True)
class KeyCache:
    """What is remembered of one key while this process runs. None of it is needed: it saves calls."""

    accounts: Any = None
    fee_rates: dict[str, tuple[float, Any]] = field(default_factory=dict)
    client_ids: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """The venue's order id → ours."""
    pairs: dict[str, tuple[list[str], Any]] = field(default_factory=dict)
    """The venue's id of an order that is two orders here → our ids of both, and its row."""
    traits: dict[str, Any] = field(default_factory=dict)
    """How this account is set up, as its venue told when it was asked last."""


class KeyClient:
    """One key at one venue."""

    def __init__(self, venue: Venue, settings: Mapping[str, Any], public: PublicClient, fingerprint: str) -> None:
        keys = {theirs: str(settings.get(ours, "")) for ours, theirs in venue.credentials.items()}
        nonces = None
        if venue.rising_nonces and (folder := settings.get("state_dir")):
            seconds = float(settings.get("timeout", 10.0))
            nonces = Nonces(Path(str(folder)) / f"{venue.library_name}-{fingerprint[:32]}.nonce", 3 * seconds)
        self.venue = venue
        self.public = public
        self.memory = KeyCache()
        self._line = CcxtClient(venue, settings, keys, nonces)
        self._clock_read = 0.0
        self._shared = Lock()

    def write(self, turn: Priority, name: str, *args: Any) -> Any:
        self._make_ready()
        return self._told(self._line.write, turn, name, *args)

    def read(self, name: str, *args: Any, **named: Any) -> Any:
        self._make_ready()
        return self._told(self._line.read, name, *args, **named)

    @property
    def exchange(self) -> Any:
        """For its parsers alone, which make no calls."""
        return self._line.exchange

    def skew(self) -> float:
        """Seconds the venue's clock is ahead of ours, read now."""
        self._read_clock()
        return -float(self._line.exchange.options.get("timeDifference", 0)) / 1000

    def remember(self, broker_order_id: str, client_order_id: str) -> None:
        if not broker_order_id or not client_order_id:
            return
        with self._shared:
            self.memory.client_ids[broker_order_id] = client_order_id
            while len(self.memory.client_ids) > _ORDERS_KEPT:
                self.memory.client_ids.popitem(last=False)

    def broker_id(self, client_order_id: str) -> str | None:
        """The venue's id for an order of ours, where this process has seen it."""
        with self._shared:
            return next((theirs for theirs, ours in self.memory.client_ids.items() if ours == client_order_id), None)

    def _make_ready(self) -> None:
        """Markets and the venue's clock, before and apart from the call. Raises BrokerUnavailable: nothing was sent."""
        self.public.load()
        with self._shared:
            if self._line.exchange.markets is not self.public.exchange.markets:
                self._line.exchange.set_markets_from_exchange(self.public.exchange)
        if self.venue.follows_clock and time.monotonic() - self._clock_read > _CLOCK_KEPT:
            self._read_clock()

    def _read_clock(self) -> None:
        self._line.exchange.options["timeDifference"] = self.public.read("load_time_difference")
        self._clock_read = time.monotonic()

    def _told(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        try:
            return call(*args, **named)
        except AuthFailed:
            # Perhaps by our clock: it is read anew before the next call, this one is not repeated.
            self._clock_read = -_CLOCK_KEPT
            raise


_clients: OrderedDict[str, KeyClient] = OrderedDict()
_publics: dict[tuple[str, str, str], PublicClient] = {}
_opening = Lock()


def client_for(venue: Venue, settings: Mapping[str, Any]) -> KeyClient:
    """The one client of this process for these credentials. Raises AuthFailed when one of them is missing."""
    missing = [name for name in venue.credentials if not str(settings.get(name, "")).strip()]
    if missing:
        raise AuthFailed(f"This connection to {venue.title} is missing its {' and '.join(missing)}. Link it again.")
    place = (venue.library_name, str(settings.get("base_url", "")), str(settings.get("environment", "")))
    parts = [*place, *(str(settings[name]) for name in venue.credentials), str(settings.get("timeout", ""))]
    fingerprint = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    with _opening:
        found = _clients.get(fingerprint)
        if found is None:
            public = _publics.get(place) or PublicClient(venue, settings)
            _publics[place] = public
            found = _clients[fingerprint] = KeyClient(venue, settings, public, fingerprint)
        _clients.move_to_end(fingerprint)
        while len(_clients) > _CLIENTS_KEPT:
            _clients.popitem(last=False)
        return found


def _after_fork() -> None:
    """A connection that both processes wrote to would mix their calls."""
    global _opening
    _opening = Lock()
    _clients.clear()
    _publics.clear()


os.register_at_fork(after_in_child=_after_fork)


def _point_at(exchange: Any, base: str) -> None:
    """Every address keeps its path and gets another host: a venue's regional host, or a server on this computer."""

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, dict):
            return {name: moved(each) for name, each in leaf.items()}
        return base.rstrip("/") + urlsplit(exchange.implode_hostname(leaf)).path if isinstance(leaf, str) else leaf

    exchange.urls["api"] = moved(exchange.urls["api"])
