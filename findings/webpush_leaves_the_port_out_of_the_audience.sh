#!/usr/bin/env bash
# webpush 1.0.6: the VAPID claim "aud" has no port, and a TTL of 0 is taken for none.
# Expected: aud is the origin of the push service (RFC 8292, section 2), "http://127.0.0.1:8443" here; ttl=0 after ttl=60 is sent as 0. Seen: "http://127.0.0.1", which a service at a port of its own refuses, and 60: what was once told stays.
# For us: it encrypts; the claims and headers are our own, with a fresh object for each message.
source "$(dirname "$0")/lib/common.sh"
venv py webpush==1.0.6
"$dir/py/bin/python" - << 'PY'
import base64
from io import BytesIO

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webpush import WebPush, WebPushSubscription
from webpush.vapid import VAPID

private, public, _ = VAPID.generate_keys()
point = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
keys = {"p256dh": base64.urlsafe_b64encode(point).decode(), "auth": base64.urlsafe_b64encode(b"x" * 16).decode()}
browser = WebPushSubscription.model_validate({"endpoint": "http://127.0.0.1:8443/push/1", "keys": keys})
maker = WebPush(private, BytesIO(public), subscriber="me@example.com")
maker.get("first", browser, ttl=60)
headers = maker.get("second", browser, ttl=0).headers
token = headers["authorization"].split("t=")[1].split(",")[0]
claims = jwt.decode(token, options={"verify_signature": False})
print("webpush 1.0.6 signs for", claims["aud"], "and sends a TTL of", headers["ttl"])
assert (claims["aud"], headers["ttl"]) == ("http://127.0.0.1", "60")
PY
