"""Second factors: authenticator app, passkeys, recovery codes. The one place that speaks to allauth.

Every passkey verifies its user (a finger, a face, a PIN), so one alone is two factors and may sign in by itself.
"""

import contextlib
import hashlib
import hmac
import ipaddress
import json
import secrets
import time
import unicodedata
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from fido2.utils import websafe_decode
from fido2.webauthn import CollectedClientData, UserVerificationRequirement

from console.accounts import seal
from console.accounts.models import User

Factor = Authenticator
APP, PASSKEY, CODES = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN, Authenticator.Type.RECOVERY_CODES
_USED = "used_step"
"""In the app's row: the newest time step whose code was taken."""
_MINUS = "\u2212"
_SETTING_UP = timedelta(minutes=15)
_SALT, _AT = "salt", "at"
"""Beside the state of a question about one act: what its challenge was salted with, and when it was asked."""
_MAKES = "makes_passkey"
"""In the state of a question that a new passkey answers: it is asked in the answer to a proof alone."""
QUESTION_SECONDS = 300
# What a browser sends is anybody's JSON: the parsers beneath answer some of it with these.
_NONSENSE = (ValidationError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def list_factors(user: User) -> list[Factor]:
    """Authenticator app and passkeys. Recovery codes stand in for these, they are none."""
    return list(Factor.objects.filter(user=user, type__in=(APP, PASSKEY)).order_by("type", "pk"))


def has_any(user: User) -> bool:
    return Factor.objects.filter(user=user, type__in=(APP, PASSKEY)).exists()


def has(user: User, kind: Authenticator.Type) -> bool:
    return Factor.objects.filter(user=user, type=kind).exists()


def check_code(user: User, code: str) -> bool:
    """Whether it is the app's code of this moment, or a recovery code. Either works once, however it is written."""
    typed = _normalized_code(code)
    with transaction.atomic():
        codes = Factor.objects.select_for_update().filter(user=user, type__in=(APP, CODES)).order_by("-type")
        for factor in codes:
            if _use_step(factor, typed) if factor.type == APP else factor.wrap().validate_code(typed):
                factor.record_usage()
                return True
    return False


def _normalized_code(code: str) -> str:
    """The code as it is compared: plain digits for those of any script, without blanks, dashes and points."""
    kept = []
    for char in unicodedata.normalize("NFKC", code):
        digit = unicodedata.decimal(char, None)
        if digit is not None:
            kept.append(str(digit))
        elif unicodedata.category(char)[0] not in "ZPC" and char != _MINUS:
            kept.append(char)
    return "".join(kept)


def _use_step(factor: Factor, typed: str) -> bool:
    """Take a code of the app, and with it every code of its time step and of those before (RFC 6238 section 5.2).

    The step is kept on the app's own row, which the caller has locked: no restart and no full cache forgets it.
    """
    step = _step_of(seal.unseal(factor.data["secret"]), typed)
    if step is None or step <= factor.data.get(_USED, -1):
        return False
    factor.data[_USED] = step
    factor.save(update_fields=["data"])
    return True


def _step_of(secret: str, typed: str) -> int | None:
    """The time step that the app shows this code in, of those taken now; the newest where there are two."""
    steps = [
        step
        for step in totp.yield_hotp_counters_from_time()
        if hmac.compare_digest(totp.format_hotp_value(totp.hotp_value(secret, step)).encode(), typed.encode())
    ]
    return max(steps, default=None)


def passkeys_unavailable() -> str:
    """Why no browser makes or uses a passkey under the address of this instance; empty where it does.

    WebAuthn works in a secure context alone, and belongs to a name (Web Authentication level 3, section 5.1.2).
    """
    parts = urlsplit(settings.PUBLIC_URL)
    name = parts.hostname or ""
    change = "Set TRADELATCH_PUBLIC_URL to an https address with a host name, then restart Tradelatch."
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return f"Passkeys need a host name, but this Tradelatch is at the IP address {name}. {change}"
    if parts.scheme == "https" or name == "localhost" or name.endswith(".localhost"):
        return ""
    return f"Passkeys need https or localhost, but this Tradelatch is at {settings.PUBLIC_URL}. {change}"


# Authenticator app


def new_authenticator(user: User) -> tuple[str, str]:
    """A secret to be shown to the person, and the same sealed for the form that comes back with the app's code.

    It is kept nowhere else: a copy of the session's cookie neither reads it nor puts another in its place.
    """
    secret: str = totp.generate_totp_secret()
    return secret, seal.seal(json.dumps({"user": user.pk, "secret": secret, "at": time.time()}))


def secret_of(user: User, sealed: str) -> str | None:
    """None when it is none of this person's, or was made too long ago."""
    try:
        told = json.loads(seal.unseal(sealed))
    except (InvalidToken, ValueError):
        return None
    own = isinstance(told, dict) and told.get("user") == user.pk
    return str(told["secret"]) if own and 0 <= time.time() - told["at"] < _SETTING_UP.total_seconds() else None


def qr_code(user: User, secret: str) -> str:
    """The secret as a QR code, in SVG."""
    adapter = get_adapter()
    svg: str = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return svg.partition("?>")[2].strip()


def add_app(user: User, secret: str, code: str) -> Factor | None:
    """None when the code is not what an app with the secret shows now. The code is used with that."""
    typed = _normalized_code(code)
    if _step_of(secret, typed) is None:
        return None
    try:
        with transaction.atomic():
            factor: Factor = totp.TOTP.activate(user, secret).instance
            _use_step(factor, typed)
    except IntegrityError:  # sent twice
        return None
    return factor


# Passkeys


def creation_options(user: User) -> dict[str, Any]:
    """What to ask the browser for: a new passkey. Call it once the person has proved that they want one."""
    options: dict[str, Any] = webauthn.begin_registration(user, passwordless=True)
    webauthn.set_state({**(webauthn.get_state() or {}), _MAKES: True, _AT: time.time()})
    return options


def add_passkey(user: User, name: str, credential: str) -> Factor | None:
    """None when the browser's answer does not fit what it was asked by ``creation_options``, less than 5 minutes ago.

    The session may hold other questions, which anybody with its cookie can ask and read: those make no passkey.
    """
    try:
        state = webauthn.get_state() or {}
        if not state.get(_MAKES) or not _is_recent(state):
            return None
        parsed = json.loads(credential)
        answered = webauthn.parse_registration_response(parsed).response.client_data
        _check_origin(answered)
        made = webauthn.complete_registration(parsed)
    except _NONSENSE:
        return None
    finally:
        webauthn.clear_state()
    if not made.is_user_verified() or not _first_answer(answered):
        return None
    factor: Factor = webauthn.WebAuthn.add(user, name, parsed).instance
    return factor


def request_options(user: User | None = None) -> dict[str, Any]:
    """What to ask the browser for: a passkey of this person, or of anybody."""
    options: dict[str, Any] = webauthn.begin_authentication(user)
    return options


def request_options_about(user: User, subject: str) -> dict[str, Any]:
    """The same for one act: the challenge holds ``subject``, so what the passkey signs is good for nothing else."""
    salt = secrets.token_bytes(32)
    options, state = webauthn.get_server().authenticate_begin(
        credentials=webauthn.get_credentials(user),
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=_challenge(salt, subject),
    )
    webauthn.set_state({**state, _SALT: salt.hex(), _AT: time.time()})
    return dict(options)


def check_passkey(credential: str, user: User | None = None, *, subject: str = "") -> Factor | None:
    """The passkey that signed what was asked; None when nobody's, or somebody else's than ``user``.

    A question is answered once, rightly or wrongly. One asked about a ``subject`` counts for that subject alone, and
    for five minutes.
    """
    try:
        if not _is_expected_challenge(subject):
            return None
        parsed = json.loads(credential)
        answered = webauthn.parse_authentication_response(parsed).response.client_data
        _check_origin(answered)
        owner = webauthn.extract_user_from_response(parsed) if user is None else user
        factor: Factor = webauthn.complete_authentication(owner, parsed)
    except _NONSENSE:
        return None
    finally:
        webauthn.clear_state()
    if not isinstance(owner, User) or not owner.is_active or not _first_answer(answered):
        return None
    factor.record_usage()
    return factor


def _is_expected_challenge(subject: str) -> bool:
    state = webauthn.get_state() or {}
    if not subject:
        return _SALT not in state and _MAKES not in state
    if not _is_recent(state):
        return False
    asked = websafe_decode(state.get("challenge", ""))
    return hmac.compare_digest(asked, _challenge(bytes.fromhex(state.get(_SALT, "")), subject))


def _is_recent(state: dict[str, Any]) -> bool:
    return 0 <= time.time() - float(state.get(_AT, 0)) < QUESTION_SECONDS


def _check_origin(answered: CollectedClientData) -> None:
    """Raises ValueError for an answer given elsewhere: a passkey of ``localhost`` answers on each of its ports."""
    if _origin(answered.origin) != _origin(settings.PUBLIC_URL):
        raise ValueError("The passkey was used on a different site.")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _first_answer(answered: CollectedClientData) -> bool:
    """Sent twice at the same moment, both find the question in their copy of the session: one of them counts."""
    digest = hashlib.sha256(answered.challenge).hexdigest()
    return cache.add(f"passkey:answered:{digest}", True, QUESTION_SECONDS)


def _challenge(salt: bytes, subject: str) -> bytes:
    return hashlib.sha256(salt + subject.encode()).digest()


# Recovery codes


def codes_left(user: User) -> int:
    codes = Factor.objects.filter(user=user, type=CODES).first()
    return len(codes.wrap().get_unused_codes()) if codes else 0


@transaction.atomic
def new_codes(user: User) -> list[str]:
    """The only time they are shown. Those from before stop working."""
    Factor.objects.filter(user=user, type=CODES).delete()
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


@transaction.atomic
def remove(factor: Factor) -> None:
    """Codes that stand in for nothing go with the last factor."""
    user = factor.user
    factor.delete()
    if not has_any(user):
        Factor.objects.filter(user=user).delete()
