"""The web server's reading of HTTP, with a bound: uvicorn keeps a head that does not end for as long as it comes.

``console.header_limit`` refuses what arrives whole; this is for what never does. A proxy has bounds of its own.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_UNFINISHED = 64 * 1024
"""Bytes in a row that are neither body nor the end of a head: the lines of a head, or those after a chunked body."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """For ``uvicorn --http console.http_protocol:BoundedHttpProtocol``."""

    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MOST_UNFINISHED and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()
