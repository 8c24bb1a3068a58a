"""TWS on loopback: its handshake, the few messages the adapter uses, and the ways in which a gateway fails.

Messages: fields that end in a null byte, behind four bytes of length; field order as the TWS API sends it to a client
of version 178 (interactivebrokers.github.io/tws-api).
"""

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

from tests.brokers.faults import Switchboard
from tests.patience import lasting

ACCOUNT = "DU1234567"
FAULTS = ("hang", "cut", "half", "reset", "garbage", "other", "late", "slow", "drip")
"""Those of the order desk's that this wire can have."""
_APPLE = ("265598", "AAPL", "STK", "", "0.0", "", "", "SMART", "USD", "AAPL", "NMS")


class FakeTws:
    def __init__(self, account: str = ACCOUNT) -> None:
        self.account = account
        self.orders: dict[str, dict[str, Any]] = {}
        """By our reference."""
        self.sent: list[list[str]] = []
        self.cancels: list[list[str]] = []
        self.executions: list[list[Any]] = []
        self.faults = Switchboard()
        """Method SEND, path ``order``, ``change`` or ``cancel``. A hang says nothing and keeps the connection."""
        self.received: list[tuple[str, str]] = []
        self.writes: deque[bytes] = deque(maxlen=32)
        self.patience = lasting(0.5)
        """Seconds: longer than the client's timeout under test."""
        self.mood = ""
        """reject, lost, in_use or mute."""
        self.price = Decimal("190.25")
        self.tick = "0.01"
        self.cash = "100270.75"
        self.notices: list[tuple[int, str]] = []
        """Errors told of the next order before it is taken, code and words."""
        self.takes = True
        """Whether it is taken after them, so that TWS tells of it."""
        self.refuses: tuple[str, int, str] | None = None
        """Type of the orders that are refused, and with what; one with exits then stays untransmitted."""
        self.keeps_waiting = False
        """An order that was not transmitted cannot be cancelled either."""
        self.not_cancelled: tuple[int, str] | None = None
        """With what a cancel is refused."""
        self.fills_before_cancel = False
        self.not_changed: tuple[int, str] | None = None
        """With what a change is refused."""
        self.shows_refused = False
        """A change that is refused is shown all the same."""
        self.fills_before_change = False
        self.fee = ("1.0", "USD")
        self.bid_ask_last: tuple[Any, Any, Any] | None = None
        self.close: Any = None
        self.values: list[tuple[str, str, str]] | None = None
        """Tag, value and currency of the account, where they are not those of every test."""
        self.portfolio: list[list[Any]] = []
        """Further holdings: contract (eleven fields), position, price, worth, cost, unrealized, realized profit."""
        self.waiting: list[list[str]] = []
        """Orders that are not to be transmitted yet."""
        self.connections = 0
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # a close alone leaves the accept that is under way
        self._listening.close()
        self.hang_up()

    def hang_up(self) -> None:
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            # Or each small message would wait until the one before is acknowledged, a twenty-fifth of a second.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(client)
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as wire, contextlib.suppress(OSError, EOFError, struct.error):
            if wire.read(4) != b"API\0":
                return
            low, _, high = self._read(wire)[0].removeprefix("v").partition("..")
            if self.mood == "mute" or not int(low) <= 178 <= int(high):
                return
            self._tell(client, 178, time.strftime("%Y%m%d %H:%M:%S UTC", time.gmtime()))
            while True:
                self._hear(client, self._read(wire))

    def _read(self, wire: Any) -> list[str]:
        (size,) = struct.unpack(">I", wire.read(4))
        text: str = wire.read(size).decode()
        return text.rstrip("\0").split("\0") if not text.endswith("\0") else text[:-1].split("\0")

    def _tell(self, client: socket.socket, *fields: Any) -> None:
        client.sendall(_message(*fields))

    def _done(self, client: socket.socket, what: str, do: Callable[[], bytes]) -> None:
        """Do what was asked and say so, or break as the next fault wants it."""
        self.received.append(("SEND", what))
        fault = self.faults.take("SEND", what)
        if fault is None:
            client.sendall(do())
            return
        wait = fault.seconds or self.patience
        if fault.kind == "late":
            time.sleep(wait)
        said = do() if fault.effect else b""
        match fault.kind:
            case "slow":
                time.sleep(wait / 5)
                client.sendall(said)
            case "other":
                client.sendall(_message(3, 999_999, "Submitted", 0, 1, 0, 1_600_000_000, 0, 0, 7, "", 0))
            case "garbage":
                client.sendall(_message(5, "this", "is", "no", "order"))
            case "drip":
                until = time.monotonic() + wait
                for byte in said:
                    if time.monotonic() > until:
                        break
                    client.sendall(bytes([byte]))
                    time.sleep(0.02)
                self._cut(client)
            case "half":
                whole = said or _message(3, 1, "Submitted", 0)
                client.sendall(whole[: len(whole) * 2 // 3])
                self._cut(client)
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                raise EOFError
            case "cut" | "late":
                self._cut(client)

    def _cut(self, client: socket.socket) -> None:
        client.shutdown(socket.SHUT_RDWR)
        raise EOFError

    def _hear(self, client: socket.socket, said: list[str]) -> None:
        match said[0]:
            case "71":
                if self.mood == "in_use":
                    self._tell(client, 4, 2, -1, 326, "Unable to connect as the client id is already in use.", "")
                    raise EOFError
                self._tell(client, 15, 1, self.account)
                self._tell(client, 9, 1, 1000 + len(self.sent))
                self._tell(client, 4, 2, -1, 2104, "Market data farm connection is OK:usfarm", "")
                if self.mood == "lost":
                    self._tell(client, 4, 2, -1, 1100, "Connectivity between IB and TWS has been lost.", "")
            case "49":
                self._tell(client, 49, 1, int(time.time()))
            case "6":
                self._account_updates(client)
            case "9":
                self._contract(client, said)
            case "1":
                self._prices(client, said[2])
            case "61":
                apple = (*_APPLE[:7], "", *_APPLE[8:])
                for row in [[*apple, "100", "", "", "150.125"], *self.portfolio]:
                    self._tell(client, 61, 3, self.account, *row[:11], row[11], row[14])
                self._tell(client, 62, 1)
            case "5" | "16":
                for order in list(self.orders.values()):
                    if order["status"] in ("Submitted", "PreSubmitted") or order.get("listed"):
                        client.sendall(self._told(order))
                self._tell(client, 53, 1)
            case "7":
                for each in self.executions:
                    self._tell(client, 11, said[2], *each)
                    self._tell(client, 59, 1, each[12], *self.fee, "", "", "")
                self._tell(client, 55, 1, said[2])
            case "3":
                self._place(client, said)
            case "4":
                self.cancels.append(said)
                self._cancel(client, int(said[2]))

    def _account_updates(self, client: socket.socket) -> None:
        usual = [
            ("NetLiquidation", "119295.75", "USD"),
            ("TotalCashValue", self.cash, "USD"),
            ("BuyingPower", "400000", "USD"),
            ("TotalCashBalance", self.cash, "USD"),
        ]
        for each in usual if self.values is None else self.values:
            self._tell(client, 6, 2, *each, self.account)
        conid, symbol, kind, last, strike, right, multiplier, _, currency, local, trading = _APPLE
        contract = (conid, symbol, kind, last, strike, right, multiplier, "NASDAQ", currency, local, trading)
        self._tell(client, 7, 8, *contract, "100", "190.25", "19025", "150.125", "4012.5", "0", self.account)
        for row in self.portfolio:
            self._tell(client, 7, 8, *row, self.account)
        self._tell(client, 54, 1, self.account)

    def _contract(self, client: socket.socket, said: list[str]) -> None:
        request, conid, symbol = said[2], said[3], said[4]
        if conid not in ("0", "265598") or (conid == "0" and symbol not in ("AAPL", "TWIN")):
            self._tell(client, 4, 2, request, 200, "No security definition has been found for the request", "")
            return
        for number in ("265598",) if symbol != "TWIN" else ("265598", "4711"):
            self._tell(
                client,
                *(10, request, "AAPL", "STK", "", "0", "", "SMART", "USD", "AAPL", "NMS", "NMS", number, self.tick),
                *("", "MKT,LMT", "SMART,NASDAQ", "1", "0", "APPLE INC", "NASDAQ", "", "Technology", "Computers"),
                *("Computers", "US/Eastern", "", "", "", "", "0", "1", "", "", "26", "", "COMMON", "1", "1", "100"),
            )
        self._tell(client, 52, 1, request)

    def _prices(self, client: socket.socket, request: str) -> None:
        usual = (self.price - Decimal("0.05"), self.price + Decimal("0.05"), self.price)
        bid, ask, last = self.bid_ask_last or usual
        for tick, price in ((1, bid), (2, ask), (4, last), (9, self.close)):
            if price is None:
                continue
            self._tell(client, 1, 6, request, tick, price, 100, 0)
        self._tell(client, 57, 1, request)

    def _place(self, client: socket.socket, said: list[str]) -> None:
        self.sent.append(said)
        self.writes.append("\0".join(said).encode())
        standing = self._numbered(int(said[1]))
        if standing is not None and standing["client"] == 7:
            self._change(client, said, standing)
            return
        if self.mood == "reject":
            self._tell(client, 4, 2, said[1], 201, "Order rejected - reason:The margin is too small.", "")
            return
        if self.refuses is not None and said[18] == self.refuses[0]:
            self._tell(client, 4, 2, said[1], *self.refuses[1:], "")
            return
        for code, words in self.notices:
            self._tell(client, 4, 2, said[1], code, words, "")
        if self.notices:
            time.sleep(0.1)
        if said[27] != "1":
            self.waiting.append(said)
            return
        group = [each for each in self.waiting if said[28] in (each[1], each[28]) and said[28] != "0"] + [said]
        self.waiting = [each for each in self.waiting if each not in group]

        def take() -> bytes:
            told = b"".join([self._take(each) for each in group])
            return told if self.takes else b""

        self._done(client, "order", take)

    def _take(self, said: list[str]) -> bytes:
        order: dict[str, Any] = {
            "id": int(said[1]),
            "action": said[16],
            "quantity": said[17],
            "type": said[18],
            "limit": said[19],
            "stop": said[20],
            "tif": said[21],
            "account": said[23],
            "ref": said[26],
            "perm": 1_700_000_000 + len(self.sent),
            "client": 7,
            "outside": said[33],
            "oca_type": said[46],
            "trail_stop": said[68],
            "status": "Submitted",
            "filled": Decimal(0),
            "oca": said[22],
            "parent": int(said[28]),
            "percent": said[69],
        }
        self.orders[order["ref"]] = order
        parent = self._numbered(order["parent"])
        if parent is not None and parent["status"] != "Filled":
            order |= {"status": "PreSubmitted", "why_held": "child"}
        if order["type"] == "MKT":
            self._fill(order)
        elif order["tif"] == "IOC":
            order["status"] = "Cancelled"
        return self._told(order)

    def _change(self, client: socket.socket, said: list[str], order: dict[str, Any]) -> None:
        """The same number again: everything but numbers has to be as it is. Codes of the TWS API."""
        if self.fills_before_change:
            self._fill(order)
            client.sendall(self._told(order))
        same = {"action": 16, "tif": 21, "account": 23, "ref": 26, "outside": 33}
        refused = self.not_changed
        if order["status"] == "Filled":
            refused = (104, "Can't modify a filled order.")
        elif order["status"] not in ("Submitted", "PreSubmitted") and not order.get("why_held"):
            refused = (103, "Duplicate order id")
        elif said[18] != order["type"]:
            refused = (329, "Order modify failed. Cannot change to the new order type.")
        elif (said[22], said[46]) != (order["oca"], order["oca_type"]):
            refused = (10326, "OCA group revision is not allowed.")
        elif int(said[28]) != order["parent"] or any(said[place] != order[name] for name, place in same.items()):
            refused = (105, "Order being modified does not match original order.")
        elif said[27] != "1":
            refused = (106, "Can't transmit order ID:")
        new = {"quantity": said[17], "limit": said[19], "stop": said[20], "percent": said[69], "trail_stop": said[68]}
        for code, words in self.notices:
            self._tell(client, 4, 2, said[1], code, words, "")
        if refused is not None:
            if self.shows_refused:
                order |= new
                client.sendall(self._told(order))
            self._tell(client, 4, 2, said[1], *refused, "")
            return

        def change() -> bytes:
            order.update(new)
            return self._told(order) if self.takes else b""

        self._done(client, "change", change)

    def _numbered(self, number: int) -> dict[str, Any] | None:
        return next((each for each in self.orders.values() if number and each["id"] == number), None)

    def fill(self, ref: str) -> None:
        self._fill(self.orders[ref])

    def _fill(self, order: dict[str, Any]) -> None:
        order |= {"status": "Filled", "filled": Decimal(order["quantity"])}
        for each in self.orders.values():
            if each["parent"] == order["id"]:
                each |= {"status": "Submitted", "why_held": ""}
            if each is not order and each["oca"] and each["oca"] == order["oca"]:
                each["status"] = "Cancelled"
        side = "BOT" if order["action"] == "BUY" else "SLD"
        at = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        execution = (
            f"0000e0d5.{len(self.executions):08x}.01.01",
            f"{at.replace('-', ' ')} UTC",
            self.account,
            "NASDAQ",
        )
        filled = (side, order["quantity"], self.price, order["perm"], 7, 0, order["quantity"], self.price, order["ref"])
        self.executions.append([order["id"], *_APPLE, *execution, *filled, "", "", "", 2, 0])

    def _told(self, order: dict[str, Any]) -> bytes:
        told = [5, order["id"], *_APPLE, order["action"], order["quantity"], order["type"], order["limit"]]
        told += [order["stop"], order["tif"], order["oca"], order["account"], "O", 0, order["ref"]]
        told += [order["client"], order["perm"], order["outside"], 0, 0, *_nothing(5)]  # to faPercentage
        told += [*_nothing(19), order["oca_type"], *_nothing(3), order["parent"], *_nothing(5)]  # to the auxPrice
        told += [*_nothing(2), order["trail_stop"], order["percent"], *_nothing(3)]  # to comboLegsDescrip
        told += [0, 0, 0, *_nothing(3), "", *_nothing(4), 0, ""]  # to the algorithm
        told += ["", "", order["status"], *_nothing(14), "", ""]  # solicited to randomizePrice
        told += [0, *_nothing(2), order["trail_stop"], *_nothing(21)]  # conditions to midOffsetAtHalf
        left = Decimal(order["quantity"]) - order["filled"]
        average = self.price if order["filled"] else 0
        status = (3, order["id"], order["status"], order["filled"], left, average, order["perm"], order["parent"], 0)
        return _message(*told) + _message(*status, order["client"], order.get("why_held", ""), 0)

    def _cancel(self, client: socket.socket, order_id: int) -> None:
        order = self._numbered(order_id)
        if order is None and self.keeps_waiting and self.not_cancelled is not None:
            self._tell(client, 4, 2, order_id, *self.not_cancelled, "")
            return
        if order is None:
            left = [each for each in self.waiting if str(order_id) in (each[1], each[28])]
            self.waiting = [each for each in self.waiting if each not in left]
            self._tell(
                client, 4, 2, order_id, 10147, f"OrderId {order_id} that needs to be cancelled is not found.", ""
            )
            return

        if self.fills_before_cancel:
            self._fill(order)
        if self.not_cancelled is not None:
            self._tell(client, 4, 2, order_id, *self.not_cancelled, "")
            return

        def end() -> bytes:
            ended = [order, *(each for each in self.orders.values() if each["parent"] == order_id)]
            told = b""
            for each in ended:
                each["status"] = "Cancelled"
                row = (3, each["id"], "Cancelled", 0, each["quantity"], 0, each["perm"], each["parent"], 0, 7, "", 0)
                told += _message(*row)
            return told

        self._done(client, "cancel", end)


def _message(*fields: Any) -> bytes:
    text = "".join(f"{_text(each)}\0" for each in fields).encode()
    return struct.pack(">I", len(text)) + text


def _nothing(fields: int) -> list[str]:
    return [""] * fields


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
