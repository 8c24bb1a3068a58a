from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from console.accounts import seal


class SecondFactors(DefaultMFAAdapter):
    """What allauth asks of us: how secrets are sealed, and whom a passkey belongs to."""

    def encrypt(self, text: str) -> str:
        return seal.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return seal.unseal(encrypted_text)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        # Not the request's Host: a passkey must outlive the name somebody happened to type.
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "localhost", "name": "Tradelatch"}
