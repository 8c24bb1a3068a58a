"""Interactive Brokers' topic ``sor``, live orders, on the WebSocket of its Web API (ibkrcampus.com, "Websockets").

It belongs to the session of the gateway or of the OAuth token, and ends with it.
"""

import json
from collections.abc import Callable, Collection

from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record, records

_SUBSCRIBE = "sor+{}"


class IbkrStream(OrderStream):
    beat = "tic"
    beat_every = 30.0
    silent_after = 60.0

    def __init__(
        self, address: StreamAddress, session_id: str, accounts: Collection[str], moved: Callable[[], None]
    ) -> None:
        """``session_id`` as ``/tickle`` names it; ``accounts`` are those that this session shows. ``moved`` is called
        before it is said that something moved, or may have."""
        super().__init__(address)
        self._moved = moved
        self._session_id = session_id
        self._accounts = frozenset(accounts)

    def heard(self, frame: str) -> FrameMeaning:
        told = record(frame)
        if told.get("message") == "waiting for session":
            return FrameMeaning(send=(json.dumps({"session": self._session_id}),))
        match told.get("topic"):
            case "system" if told.get("success"):
                self._moved()
                return FrameMeaning(ready=True, send=(_SUBSCRIBE,))
            case "sts":
                state = told.get("args")
                if isinstance(state, dict) and state.get("authenticated") is False:
                    return FrameMeaning(broken="The session at Interactive Brokers is not signed in.")
            case "sor":
                rows = [each for each in records(told.get("args")) if each.get("acct") in (None, *self._accounts)]
                if rows:
                    self._moved()
                return FrameMeaning(moved=bool(rows), client_order_ids=names(rows, "order_ref"))
        return NOTHING
