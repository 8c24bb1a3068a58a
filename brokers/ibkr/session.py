"""One signed-in session at Interactive Brokers' Web API, kept for the life of the process.

IBKR has one brokerage session per user name, which every program of that user competes for. It ends by itself,
and only a person can begin it again at the gateway: each of its three ends is NeedsLogin, never an empty list.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from brokers import http
from brokers.errors import (
    AuthFailed,
    BrokerUnavailable,
    InvalidRequest,
    NeedsLogin,
    NotSent,
    PermissionDenied,
    RateLimited,
    UnknownOutcome,
)
from brokers.http import Garbled, HostAccess, HttpAnswer, Timeouts
from brokers.ibkr import signing
from brokers.ibkr.signing import Credentials, LiveToken
from brokers.ibkr.stream import IbkrStream
from brokers.json_values import code, quoted_text, record, records, text
from brokers.order_streams import StreamAddress, socket_url
from brokers.types import Instrument

BROKER = "Interactive Brokers"
OAUTH_URL = "https://api.ibkr.com/v1/api"
TICKLE_EVERY = 60.0
"""Seconds. A session that nobody touches for some minutes ends."""
LIST_EVERY = 5.0
"""Seconds between two reads of one slow list: IBKR shuts an address out for ten minutes that asks more often."""
_TOKEN_MARGIN = 300.0


class Session:
    """Safe to share between threads."""

    def __init__(
        self, base_url: str, credentials: Credentials | None, timeouts: Timeouts, access: HostAccess | None = None
    ) -> None:
        parts = urlsplit(base_url)
        self._url = base_url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._client = http.shared(f"{parts.scheme}://{parts.netloc}", BROKER, access)
        self._credentials = credentials
        self._timeouts = timeouts
        self._access = access
        self._token: LiveToken | None = None
        self._lock = threading.RLock()
        self._good_until = 0.0
        self._accounts: dict[str, dict[str, Any]] = {}
        self._lists: dict[tuple[Any, ...], tuple[float, int, Any]] = {}
        self._moves = 0
        self._read_at: dict[str, float] = {}
        self._lists_lock = threading.Lock()
        self.contracts: dict[str, Instrument] = {}
        """By conid: what IBKR told of a contract, which changes rarely."""

    # -- the session itself ------------------------------------------------------------------------------------------

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Number → what IBKR tells of it, of those that can be traded. Raises NeedsLogin."""
        self.ready()
        return self._accounts

    def ready(self, *, now: bool = False) -> None:
        """Signed in, kept alive, and asked for its accounts, without which IBKR answers nothing about them.

        ``now`` asks even where the last look is fresh. Raises NeedsLogin, AuthFailed, BrokerUnavailable.
        """
        with self._lock:
            if not now and time.monotonic() < self._good_until:
                return
            self._good_until = 0.0
            state = _inner(_inner(self.ask("/tickle"), "iserver"), "authStatus")
            if self._credentials is not None and not state.get("authenticated") and not state.get("competing"):
                # Never with "compete": that would throw the person's own program out.
                state = self.ask("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
            _check_state(state)
            named = self._get("/iserver/accounts", {})
            listed = named.get("accounts") if isinstance(named, dict) else None
            if not isinstance(listed, list) or not listed:
                raise BrokerUnavailable(f"{BROKER} did not list this session's accounts.")
            try:
                told = {code(each.get("accountId")): each for each in records(self._get("/portfolio/accounts", {}))}
                self._accounts = {text(each): told.get(each, {}) for each in listed if each != "All"}
            except Garbled as error:
                raise BrokerUnavailable(f"{BROKER} gave an answer that could not be understood.") from error
            self._good_until = time.monotonic() + TICKLE_EVERY

    def stream(self) -> IbkrStream:
        """Of this session, which is signed in. Raises as ``ready`` does."""
        accounts = self.accounts()
        session_id = quoted_text(self.ask("/tickle").get("session"))
        if not session_id:
            raise BrokerUnavailable(f"{BROKER} did not name this session.")
        mine, access = self._credentials, self._access
        token = "" if mine is None else "?" + urlencode({"oauth_token": mine.access_token})
        address = StreamAddress(
            url=socket_url(self._url, "/ws" + token),
            headers={"Cookie": "api=" + json.dumps({"session": session_id})},
            reach=None if access is None else access.reach,
            fingerprint="" if access is None else access.fingerprint,
        )
        return IbkrStream(address, session_id, accounts, moved=self._note_move)

    def _note_move(self) -> None:
        """Lists that were read before show an order as it was."""
        self._moves += 1

    # -- calls -------------------------------------------------------------------------------------------------------

    def read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET within the session. Raises NeedsLogin, PermissionDenied, RateLimited, InvalidRequest, Unavailable."""
        self.ready()
        return self._get(path, params or {})

    def listing(self, path: str, params: Mapping[str, str] | None = None, *, fresh: bool) -> Any:
        """GET of a list IBKR lets nobody ask for often. ``fresh``: nothing that was read before this call; else nothing
        that was read before the stream last said that something moved."""
        self.ready()
        asked = time.monotonic()
        key = (path, *sorted((params or {}).items()))
        with self._lists_lock:
            at, moves, value = self._lists.get(key, (-LIST_EVERY, 0, None))
            is_recent = moves == self._moves and time.monotonic() - at < LIST_EVERY
            if value is not None and (at >= asked or (not fresh and is_recent)):
                return value
            time.sleep(max(0.0, self._read_at.get(path, -LIST_EVERY) + LIST_EVERY - time.monotonic()))
            moves = self._moves
            try:
                value = self._get(path, params or {})
            finally:
                self._read_at[path] = time.monotonic()
            self._lists[key] = (self._read_at[path], moves, value)
            return value

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """POST that changes nothing at the broker."""
        answer = self.ask_any(path, body)
        try:
            return record(answer)
        except Garbled as error:
            raise BrokerUnavailable(f"{BROKER} gave an answer that could not be understood.") from error

    def ask_any(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._send("POST", path, body)
        except BrokerUnavailable:  # it says itself why
            raise
        except (NotSent, UnknownOutcome) as error:
            raise BrokerUnavailable(f"{BROKER} could not be reached.") from error
        return self._judge(answer)

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HttpAnswer:
        """Sent once. Raises NotSent, UnknownOutcome; NeedsLogin where IBKR did not know the session."""
        self.ready()
        answer = self._send(method, path, body)
        if answer.status == 401:
            raise self._ended()
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> HttpAnswer:
        headers = self._headers(method, path, {})
        return self._client.write(
            method, self._prefix + path, headers=headers, body=body or {}, timeouts=self._timeouts
        )

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        headers = self._headers("GET", path, params)
        answer = self._client.read(self._prefix + path, headers=headers, params=params, timeouts=self._timeouts)
        return self._judge(answer)

    def _judge(self, answer: HttpAnswer) -> Any:
        """The body of a read, or what its status says."""
        if answer.status == 401:
            raise self._ended()
        if answer.status == 403:
            raise PermissionDenied(f"{BROKER} does not let this session do that.")
        if answer.status == 429:
            raise RateLimited(f"{BROKER} is limiting calls.", retry_after=LIST_EVERY)
        if answer.status in (400, 404):
            if b"query /accounts first" in answer.body:
                self._good_until = 0.0
            raise InvalidRequest(f"{BROKER} does not know what was requested. {error_of(answer)}".strip(), "request")
        if not 200 <= answer.status < 300:
            raise BrokerUnavailable(f"{BROKER} could not answer.")
        try:
            return answer.json()
        except Garbled as error:
            raise BrokerUnavailable(f"{BROKER} gave an answer that could not be understood.") from error

    def _ended(self) -> NeedsLogin:
        self._good_until = 0.0
        self._token = None
        return NeedsLogin(f"The session at {BROKER} has ended. Sign in again at the gateway or in the Client Portal.")

    # -- signing -----------------------------------------------------------------------------------------------------

    def _headers(self, method: str, path: str, params: Mapping[str, str]) -> dict[str, str]:
        mine = self._credentials
        if mine is None:
            return {}
        token = self._live_token(mine)
        return {"Authorization": signing.authorization(mine, token, method, self._url + path, params)}

    def _live_token(self, mine: Credentials) -> LiveToken:
        with self._lock:
            if self._token is None or time.time() > self._token.expires - _TOKEN_MARGIN:
                path = "/oauth/live_session_token"
                ours = signing.challenge(mine, self._url + path)
                try:
                    answer = self._client.write(
                        "POST", self._prefix + path, headers={"Authorization": ours.header}, timeouts=self._timeouts
                    )
                except (NotSent, UnknownOutcome) as error:
                    raise BrokerUnavailable(f"{BROKER} could not be reached for a session token.") from error
                if answer.status in (400, 401, 403):
                    raise AuthFailed(f"{BROKER} did not accept this connection's OAuth keys.")
                if not 200 <= answer.status < 300:
                    raise BrokerUnavailable(f"{BROKER} gave no session token.")
                try:
                    self._token = signing.live_token(mine, ours, answer.json())
                except Garbled as error:
                    raise BrokerUnavailable(f"{BROKER} gave a session token that could not be understood.") from error
            return self._token


def _inner(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within an answer; empty where there is none: a stranger may have answered."""
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _check_state(state: Mapping[str, Any]) -> None:
    if state.get("competing"):
        raise NeedsLogin(
            f"Another program has taken over the session at {BROKER}, such as TWS, IBKR Mobile or a second gateway. "
            "Close it there, then sign in again."
        )
    if state.get("authenticated") is not True or state.get("connected") is False:
        raise NeedsLogin(f"The session at {BROKER} is not signed in. Sign in again at the gateway.")


def error_of(answer: HttpAnswer) -> str:
    """IBKR's own words for a refusal; empty where it has none.

    They stand in ``error``, or in ``text`` of what it calls an advanced reject, which names choices for a person.
    """
    try:
        told = answer.json()
    except Garbled:
        return ""
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if not isinstance(told, dict):
        return ""
    inside = told.get("advancedOrderReject")
    for each in (told, inside if isinstance(inside, dict) else {}):
        if words := quoted_text(each.get("error")):
            return words
        if (
            isinstance(each.get("options"), list)
            and "order_id" not in each
            and (words := quoted_text(each.get("text")))
        ):
            return words
    return ""


# -- one session per user name and process ---------------------------------------------------------------------------

_sessions: dict[tuple[str, HostAccess | None], Session] = {}
_making = threading.Lock()


def shared(
    base_url: str, credentials: Credentials | None, timeouts: Timeouts, access: HostAccess | None = None
) -> Session:
    parts = [base_url] if credentials is None else [base_url, credentials.consumer_key, credentials.access_token]
    if credentials is not None:
        parts += [credentials.access_token_secret, credentials.signature_key, credentials.encryption_key]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest(), access
    with _making:
        if key not in _sessions:
            _sessions[key] = Session(base_url, credentials, timeouts, access)
        return _sessions[key]


def close_shared() -> None:
    """Forget every session of this process; none is ended at the broker."""
    with _making:
        _sessions.clear()


def _after_fork() -> None:
    """A child must not share its parent's locks and connections."""
    global _making
    _making = threading.Lock()
    _sessions.clear()


os.register_at_fork(after_in_child=_after_fork)
