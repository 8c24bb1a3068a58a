"""A vendor's web server on this computer, with a certificate of its own, and a fetcher that may reach it.

The fetcher of production reaches public addresses only, whatever the environment says: what a test needs to be
different, it overrides here.
"""

import contextlib
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.patience import at_most

HOST = "vendor.example"
Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Vendor:
    port: int
    certificate: Path
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def address(self, path: str = "/client.json", host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"

    def document(self, path: str = "/client.json", **changes: Any) -> dict[str, Any]:
        """A good document, to be changed; a field given as None is left out."""
        fields = {
            "client_id": self.address(path),
            "client_name": "Vendor",
            "redirect_uris": ["https://vendor.example/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def publish(self, path: str = "/client.json", *, raw: bytes | None = None, **changes: Any) -> str:
        """Serve a document; its address."""
        headers = {"Content-Type": "application/json"} | changes.pop("headers", {})
        status = changes.pop("status", 200)
        body = json.dumps(self.document(path, **changes)).encode() if raw is None else raw

        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.replies[path] = reply
        return self.address(path)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Vendor]:
    certificate, key = _certificate(folder)
    vendor = Vendor(port=0, certificate=certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vendor.asked.append(self.path)
            reply = vendor.replies.get(self.path)
            if reply is None:
                self.send_error(404)
                return
            with contextlib.suppress(OSError):  # the fetcher may hang up
                reply(self)

        def log_message(self, *args: object) -> None:
            """Not on the test's output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *args: object) -> None:
            """A client that does not trust the certificate hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    vendor.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join(at_most(5))


def fetcher_for(vendor: Vendor) -> Any:
    """The class of production, but its names live here, its certificates are ours and loopback counts as public."""
    from console.clients.metadata_fetching import Fetcher  # late: this file may be read before Django is set up

    class Nearby(Fetcher):
        def look_up(self, host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        def may_reach(self, address: str) -> bool:
            return address == "127.0.0.1"

        def tls(self) -> ssl.SSLContext:
            return ssl.create_default_context(cafile=str(vendor.certificate))

    return Nearby


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
