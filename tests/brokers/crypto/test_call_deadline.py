"""The deadline of a call of ccxt holds under TLS too, where every real venue is, and certificates are still checked."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from brokers.crypto import call_deadline
from tests.patience import at_most, lasting


class _Handler(BaseHTTPRequestHandler):
    """``/drip`` never comes to its end."""

    protocol_version = "HTTP/1.1"
    timeout = at_most(10)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        dripping = self.path == "/drip"
        self.send_response(200)
        self.send_header("Content-Length", "100000" if dripping else "2")
        self.end_headers()
        with suppress(OSError):
            for _ in range(10_000 if dripping else 1):
                self.wfile.write(b"{}")
                if dripping:
                    time.sleep(0.05)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    day, now = timedelta(days=1), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "trusted.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=at_most(5))


@pytest.fixture
def session(tmp_path: Path, address: str) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.mount("https://", call_deadline.Adapter())
        made.verify = str(tmp_path / "trusted.pem")
        yield made


def test_an_answer_that_drips_under_tls_ends_with_its_time_and_the_next_call_is_unharmed(
    session: requests.Session, address: str
) -> None:
    began = time.monotonic()
    with pytest.raises(requests.ConnectionError), call_deadline.within(lasting(0.4)):
        session.post(f"{address}/drip", data="x", timeout=at_most(2))
    assert time.monotonic() - began < at_most(2)
    for _ in range(2):
        with call_deadline.within(at_most(5)):
            assert session.post(address, data="x", timeout=at_most(2)).json() == {}


def test_a_certificate_that_nobody_vouches_for_is_refused(session: requests.Session, address: str) -> None:
    session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        session.post(address, data="x", timeout=at_most(2))
