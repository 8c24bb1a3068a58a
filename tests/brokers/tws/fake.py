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
        self.executions: list[list[Any]] = []
        self.faults = Switchboard()
        """Method SEND, path ``order`` or ``cancel``. A hang says nothing and keeps the connection."""
        self.received: list[tuple[str, str]] = []
        self.writes: deque[bytes] = deque(maxlen=32)
        self.patience = lasting(0.5)
        """Seconds: longer than the client's timeout under test."""
        self.mood = ""
        """reject, lost, in_use or mute."""
        self.price = Decimal("190.25")
        self.tick = "0.01"
        self.cash = "100270.75"
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
            case "61":
                self._tell(client, 62, 1)
            case "49":
                self._tell(client, 49, 1, int(time.time()))
            case "6":
                self._account_updates(client)
            case "9":
                self._contract(client, said)
            case "1":
                self._prices(client, said[2])
            case "16":
                for order in list(self.orders.values()):
                    if order["status"] in ("Submitted", "PreSubmitted"):
                        client.sendall(self._told(order))
                self._tell(client, 53, 1)
            case "7":
                for each in self.executions:
                    self._tell(client, 11, said[2], *each)
                    self._tell(client, 59, 1, each[12], "1.0", "USD", "", "", "")
                self._tell(client, 55, 1, said[2])
            case "3":
                self._place(client, said)
            case "4":
                self._cancel(client, int(said[2]))

    def _account_updates(self, client: socket.socket) -> None:
        for tag, value in (("NetLiquidation", "119295.75"), ("TotalCashValue", self.cash), ("BuyingPower", "400000")):
            self._tell(client, 6, 2, tag, value, "USD", self.account)
        self._tell(client, 6, 2, "TotalCashBalance", self.cash, "USD", self.account)
        conid, symbol, kind, last, strike, right, multiplier, _, currency, local, trading = _APPLE
        contract = (conid, symbol, kind, last, strike, right, multiplier, "NASDAQ", currency, local, trading)
        self._tell(client, 7, 8, *contract, "100", "190.25", "19025", "150.125", "4012.5", "0", self.account)
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
        for tick, price in ((1, self.price - Decimal("0.05")), (2, self.price + Decimal("0.05")), (4, self.price)):
            self._tell(client, 1, 6, request, tick, price, 100, 0)
        self._tell(client, 57, 1, request)

    def _place(self, client: socket.socket, said: list[str]) -> None:
        self.sent.append(said)
        self.writes.append("\0".join(said).encode())
        if self.mood == "reject":
            self._tell(client, 4, 2, said[1], 201, "Order rejected - reason:The margin is too small.", "")
            return
        self._done(client, "order", lambda: self._take(said))

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
            "status": "Submitted",
            "filled": Decimal(0),
        }
        self.orders[order["ref"]] = order
        if order["type"] == "MKT":
            self._fill(order)
        elif order["tif"] == "IOC":
            order["status"] = "Cancelled"
        return self._told(order)

    def _fill(self, order: dict[str, Any]) -> None:
        order |= {"status": "Filled", "filled": Decimal(order["quantity"])}
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
        told += [order["stop"], order["tif"], "", order["account"], "O", 0, order["ref"], 7, order["perm"], 0, 0, 0]
        told += [*_nothing(5), *_nothing(29), *_nothing(7)]  # to faPercentage, deltaNeutralAuxPrice, comboLegsDescrip
        told += [0, 0, 0, *_nothing(3), "", *_nothing(4), 0, ""]  # to the algorithm
        told += ["", "", order["status"], *_nothing(14), "", ""]  # solicited to randomizePrice
        told += [0, *_nothing(16), *_nothing(3), *_nothing(5)]  # conditions to midOffsetAtHalf
        left = Decimal(order["quantity"]) - order["filled"]
        average = self.price if order["filled"] else 0
        status = (3, order["id"], order["status"], order["filled"], left, average, order["perm"], 0, 0, 7, "", 0)
        return _message(*told) + _message(*status)

    def _cancel(self, client: socket.socket, order_id: int) -> None:
        order = next(each for each in self.orders.values() if each["id"] == order_id)

        def end() -> bytes:
            order["status"] = "Cancelled"
            return _message(3, order_id, "Cancelled", 0, order["quantity"], 0, order["perm"], 0, 0, 7, "", 0)

        self._done(client, "cancel", end)


def _message(*fields: Any) -> bytes:
    text = "".join(f"{_text(each)}\0" for each in fields).encode()
    return struct.pack(">I", len(text)) + text


def _nothing(fields: int) -> list[str]:
    return [""] * fields


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
