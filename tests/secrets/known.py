"""Every credential the tests use: made here, or noted where the product makes or takes it."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Characters: what is shorter is found anywhere by chance."""

# One for all processes of a run: workers, and what a test starts, must agree on what a fake takes.
_SEED = os.environ.setdefault("TESTS_SECRETS_SEED", secrets.token_hex(16))

# What our own credentials look like, so that those of another process are known without being told.
OURS = re.compile(
    r"tl_(?:paper|live|manage)_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}|tl[cu]_secret_[0-9A-Za-z]{30}"
    # Four characters are found in long base64 by chance.
    r"|(?<![0-9A-Za-z_-])tl[ar]_[0-9A-Za-z]{32}(?![0-9A-Za-z_-])"
)


LOOKS = "one of ours, by its looks"


@dataclass(slots=True)
class Known:
    """Credentials by their text. Those of the run stay; ``recent`` begins anew with each file of tests."""

    of_the_run: dict[str, str] = field(default_factory=dict)
    recent: dict[str, str] = field(default_factory=dict)
    ever: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, text: str, *, for_the_run: bool = False) -> None:
        for needle in _needles(text):
            self.ever[needle] = kind
            (self.of_the_run if for_the_run else self.recent)[needle] = kind

    def found_in(self, text: str) -> dict[str, str]:
        """Each credential in ``text``, with its kind."""
        found = {each: LOOKS for each in OURS.findall(text) if _is_ours(each)}
        for told in (self.of_the_run, self.recent):
            found |= {needle: kind for needle, kind in told.items() if needle in text}
        return found


KNOWN = Known()


def mint(name: str, length: int = 32, alphabet: str = "") -> str:
    """A credential for a broker's fake: another in each run, the same wherever in it."""
    digest = b"".join(hmac.digest(_SEED.encode(), f"{name} {part}".encode(), "sha256") for part in range(4))
    text = "".join(alphabet[byte % len(alphabet)] for byte in digest) if alphabet else digest.hex()
    made = text[:length]
    KNOWN.note(name, made, for_the_run=True)
    return made


def keep(name: str, text: str) -> str:
    """The same for a credential that was made elsewhere."""
    KNOWN.note(name, text, for_the_run=True)
    return text


def masked(secret: str) -> str:
    return f"{secret[:4]}… ({len(secret)} characters, SHA-256 {hashlib.sha256(secret.encode()).hexdigest()[:12]})"


def _needles(text: str) -> set[str]:
    """As it is, and as JSON, forms, addresses and Basic authentication would have it; of a key in lines, one line."""
    text = text.strip()
    if "\n" in text:
        lines = [line for line in text.splitlines() if len(line) >= 40 and " " not in line]
        return {lines[len(lines) // 2]} if lines else set()
    if len(text) < SHORTEST:
        return set()
    return {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], _in_base64(text)}


def _in_base64(text: str) -> str:
    """What base64 makes of it where it begins on a boundary of three; without the end, which what follows changes."""
    return base64.b64encode(text.encode()[: len(text.encode()) // 3 * 3]).decode()


def _is_ours(text: str) -> bool:
    """A key that a test made up to be refused has no right checksum, or one letter many times."""
    from console.keys import minting  # it wants settings, which are not there yet when this file is read

    if text.startswith("tl_"):
        return minting.public_id_of(text) is not None
    return len(set(text)) > 14
