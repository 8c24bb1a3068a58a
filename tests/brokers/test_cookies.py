"""One client of a host serves many keys: a cookie that came with one is not sent with another."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from brokers.http import HttpClient, Timeouts


def test_a_cookie_of_one_key_never_goes_out_with_another() -> None:
    heard: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Cookie"))
            self.send_response(200)
            self.send_header("Set-Cookie", f"session={self.headers['Authorization']}; Path=/")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        client = HttpClient(f"http://127.0.0.1:{server.server_port}", "A broker")
        try:
            for key in ("one", "another"):
                client.read("/", headers={"Authorization": key}, timeouts=Timeouts())
        finally:
            client.close()
            server.shutdown()
    assert heard == [None, None]
