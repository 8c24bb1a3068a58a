"""A loopback proxy that adds a bearer to every request and leaves the rest as sent, Host and Origin too."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def adding(bearer: str, *, to: int) -> Iterator[int]:
    """Its port. Each connection carries one request, so a head is read only where one begins."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, bearer, to), daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            # Wakes the thread that waits in accept; closing alone does not.
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, bearer: str, to: int) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(client, bearer, to), daemon=True).start()


def _carry(client: socket.socket, bearer: str, to: int) -> None:
    with client, contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(65536)
            if not more:
                return
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        lines += [f"Authorization: Bearer {bearer}".encode(), b"Connection: close"]
        with socket.create_connection(("127.0.0.1", to)) as server:
            server.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    # One side is done: the other hears of it, and a client that left ends its call.
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
