"""A passkey in software, for tests: a real key that signs what the console asks, with a finger or without."""

import hashlib
import json
import os
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

_PRESENT, _VERIFIED = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV


class Passkey:
    def __init__(self, user: Any, name: str = "Laptop") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id, self._person = os.urandom(16), user_pk_to_url_str(user).encode()
        self._host = hashlib.sha256(settings.PUBLIC_URL.split("/")[2].split(":")[0].encode()).digest()
        made = json.loads(self.made({"publicKey": {"challenge": websafe_encode(b"at registration")}}))
        self.factor: Authenticator = WebAuthn.add(user, name, made).instance

    def made(self, question: dict[str, Any]) -> str:
        """What the browser would send when it makes this passkey for the question."""
        public = ES256.from_cryptography_key(self._key.public_key())  # type: ignore[no-untyped-call]
        held = AttestedCredentialData.create(Aaguid.NONE, self._id, public)
        data = AuthenticatorData.create(self._host, _PRESENT | _VERIFIED | AuthenticatorData.FLAG.AT, 0, held)
        asked = self._client_data("webauthn.create", question["publicKey"]["challenge"])
        response = {
            "clientDataJSON": websafe_encode(asked),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        }
        return json.dumps(self._credential(response))

    def answer(self, question: dict[str, Any], *, verified: bool = True) -> str:
        """What the browser would send for the question. ``verified``: a finger was there, not just a touch."""
        challenge = question["publicKey"]["challenge"]
        data = AuthenticatorData.create(self._host, _PRESENT | (_VERIFIED if verified else 0), 0)
        asked = self._client_data("webauthn.get", challenge)
        signature = self._key.sign(data + hashlib.sha256(asked).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": websafe_encode(asked),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": websafe_encode(self._person),
        }
        return json.dumps(self._credential(response))

    def _client_data(self, kind: str, challenge: bytes | str) -> CollectedClientData:
        return CollectedClientData.create(kind, challenge, settings.PUBLIC_URL)

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        own = websafe_encode(self._id)
        return {"id": own, "rawId": own, "type": "public-key", "response": response, "clientExtensionResults": {}}
