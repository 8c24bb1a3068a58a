"""Proof of presence: that the person who is signed in sits at the browser, for one act and for no other.

A cookie can be copied: cookies know no port, so every server on this computer is sent those of ``localhost``. What
lets others do more therefore takes, in the very request that does it, what no cookie holds: a passkey's signature over
a challenge bound to the act, the address, everything that was sent, the person and the session (WebAuthn level 3,
section 13.4.3), or, for somebody without a passkey, the password and the code of their authenticator app. Nothing of
it is kept: the next act asks again. What only tightens asks for nothing.

``ACTS`` is the rule. Pages call ``require_proof``, the REST API ``proof_from_body``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from console import request_origin
from console.accounts import second_factors
from console.accounts.models import User
from console.accounts.second_factors import Factor
from console.accounts.throttle import TOO_MANY, SignInAttempt
from console.errors import Code, Refusal
from console.request_origin import ProofKind


class PresenceAct(StrEnum):
    """Everything that takes a proof."""

    LOOSEN_POLICY = "loosen_policy"
    TRADING_ON = "trading_on"
    RESUME_CONNECTION = "resume_connection"
    RESUME_APP = "resume_app"
    WIDEN_LIMITS = "widen_limits"
    TOOLSETS_ON = "toolsets_on"
    STOP_ASKING = "stop_asking"
    SHORTEN_DELAY = "shorten_delay"
    LENGTHEN_WAIT = "lengthen_wait"
    MAKE_RULE = "make_rule"
    MAKE_SIGNAL_ADDRESS = "make_signal_address"
    MINT_KEY = "mint_key"
    ROTATE_KEY = "rotate_key"
    MINT_MANAGEMENT_KEY = "mint_management_key"
    START_PLAYGROUND = "start_playground"
    GRANT = "grant"
    LINK = "link"
    REPLACE_BROKER_KEY = "replace_broker_key"
    LIFT_HALT = "lift_halt"
    RELEASE_ORDER = "release_order"
    START_PLAN = "start_plan"
    RESUME_PLAN = "resume_plan"
    ANSWER_BROKER = "answer_broker"
    SETTLE_ORDER = "settle_order"
    REGISTER_CLIENT = "register_client"
    ACCEPT_CLIENT = "accept_client"
    INVITE = "invite"
    CHANGE_PERSON = "change_person"
    ADD_PLATFORM = "add_platform"
    CHANGE_PLATFORM_SECRET = "change_platform_secret"  # noqa: S105  the name of an act
    ENABLE_PLATFORM = "enable_platform"
    ADD_APP = "add_app"
    ADD_PASSKEY = "add_passkey"
    REMOVE_FACTOR = "remove_factor"
    NEW_CODES = "new_codes"
    CHANGE_PASSWORD = "change_password"  # noqa: S105  the name of an act


@dataclass(frozen=True, slots=True)
class ActRule:
    words: str
    """What the page asks, and the button says."""
    repairs: bool = False
    """It mends a way in: somebody whose passkey is lost may do it with the password and a code."""


ACTS: dict[PresenceAct, ActRule] = {
    PresenceAct.LOOSEN_POLICY: ActRule("Let the assistant confirm"),
    PresenceAct.TRADING_ON: ActRule("Switch trading on"),
    PresenceAct.RESUME_CONNECTION: ActRule("Resume the connection"),
    PresenceAct.RESUME_APP: ActRule("Resume the app"),
    PresenceAct.WIDEN_LIMITS: ActRule("Allow more than before"),
    PresenceAct.TOOLSETS_ON: ActRule("Switch tools on"),
    PresenceAct.STOP_ASKING: ActRule("Stop asking in the assistant"),
    PresenceAct.SHORTEN_DELAY: ActRule("Let orders be confirmed sooner"),
    PresenceAct.LENGTHEN_WAIT: ActRule("Let orders wait longer"),
    PresenceAct.MAKE_RULE: ActRule("Create the standing rule"),
    PresenceAct.MAKE_SIGNAL_ADDRESS: ActRule("Create the signal address"),
    PresenceAct.MINT_KEY: ActRule("Create a key that trades"),
    PresenceAct.ROTATE_KEY: ActRule("Replace a key that trades"),
    PresenceAct.MINT_MANAGEMENT_KEY: ActRule("Create a management key"),
    PresenceAct.START_PLAYGROUND: ActRule("Start a playground that trades"),
    PresenceAct.GRANT: ActRule("Let an app trade"),
    PresenceAct.LINK: ActRule("Link an account"),
    PresenceAct.REPLACE_BROKER_KEY: ActRule("Replace the broker key"),
    PresenceAct.LIFT_HALT: ActRule("Lift the halt"),
    PresenceAct.RELEASE_ORDER: ActRule("Approve the order"),
    PresenceAct.START_PLAN: ActRule("Start the plan"),
    PresenceAct.RESUME_PLAN: ActRule("Resume the plan"),
    PresenceAct.ANSWER_BROKER: ActRule("Answer yes"),
    PresenceAct.SETTLE_ORDER: ActRule("Settle the order"),
    PresenceAct.REGISTER_CLIENT: ActRule("Register a client that can request trading"),
    PresenceAct.ACCEPT_CLIENT: ActRule("Accept the app"),
    PresenceAct.INVITE: ActRule("Invite somebody"),
    PresenceAct.CHANGE_PERSON: ActRule("Change an account"),
    PresenceAct.ADD_PLATFORM: ActRule("Add a platform"),
    PresenceAct.CHANGE_PLATFORM_SECRET: ActRule("Change the secret"),
    PresenceAct.ENABLE_PLATFORM: ActRule("Enable the platform"),
    PresenceAct.ADD_APP: ActRule("Add an authenticator app", repairs=True),
    PresenceAct.ADD_PASSKEY: ActRule("Add a passkey", repairs=True),
    PresenceAct.REMOVE_FACTOR: ActRule("Remove a second factor", repairs=True),
    PresenceAct.NEW_CODES: ActRule("Create new recovery codes", repairs=True),
    PresenceAct.CHANGE_PASSWORD: ActRule("Change the password", repairs=True),
}

ADD_ONE_FIRST = "This involves real money, so you need a passkey. You do not have one yet: add one under Security."
NONE_WORKS_HERE = "This involves real money, so you need a passkey."
NOTHING_TO_PROVE = (
    "You have neither a passkey nor a password, so you cannot confirm this. Ask an operator for a new "
    "link, set a password, then add a passkey."
)
WRONG_PASSKEY = "That passkey was not accepted, or the request has changed. Nothing was done. Try again."
WRONG_PASSWORD = "Wrong password."  # noqa: S105  words
WRONG_CODE = "Wrong code, or it was already used."
_TYPE_PASSWORD = "Type your password."  # noqa: S105  words

_CREDENTIAL, _PASSWORD, _CODE = "proof-credential", "proof-password", "proof-code"
FIELDS = frozenset({_CREDENTIAL, _PASSWORD, _CODE})
"""What a form carries as proof. None of it is part of what the proof is bound to."""
_CHALLENGE = "challenge"
_NO_PARAMETER = FIELDS | {"csrfmiddlewaretoken"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceProof:
    """How the person has just proved who they are."""

    factor: Factor | None = None
    """The passkey; None: the password, with a code where they have an app."""

    @property
    def by_passkey(self) -> bool:
        return self.factor is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofMethods:
    """What this person can prove it with, as a page shows it."""

    passkey: bool = False
    password: bool = False
    code: bool = False
    """Beside the password, or alone for somebody without one."""
    missing: str = ""
    """Why there is no way, and what to do."""

    @property
    def typed(self) -> bool:
        return self.password or self.code

    @property
    def lacks_passkey(self) -> bool:
        return self.missing == ADD_ONE_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFields:
    """For ``components/proof.html``."""

    ways: ProofMethods
    error: str = ""


wrong_proof = Signal()
"""Somebody with the session failed to prove who they are; with ``user`` and ``kind``."""


class NotProved(Exception):
    """``str`` says what is wrong; empty when nothing was shown yet."""


class ProofNeeded(Refusal):
    """To a program: the same request again, with one of ``offers`` as ``proof``."""

    def __init__(self, message: str, offers: Mapping[str, Any]) -> None:
        super().__init__(Code.RE_AUTHENTICATION_REQUIRED, message)
        self.offers = offers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Presented:
    """What a request says, and what it shows as proof."""

    said: list[str]
    credential: str = ""
    password: str = ""
    code: str = ""


def proof_methods(user: User, act: PresenceAct, *, live: bool) -> ProofMethods:
    """``live``: it lets others do more with real money."""
    password, code = user.has_usable_password(), second_factors.has(user, second_factors.APP)
    if second_factors.has(user, second_factors.PASSKEY):
        repairs = ACTS[act].repairs
        return ProofMethods(passkey=True, password=repairs and password, code=repairs)
    if live:
        why = second_factors.passkeys_unavailable()
        return ProofMethods(missing=f"{NONE_WORKS_HERE} {why}" if why else ADD_ONE_FIRST)
    if not password and not code:
        return ProofMethods(missing=NOTHING_TO_PROVE)
    return ProofMethods(password=password, code=code)


def _prove(request: HttpRequest, user: User, act: PresenceAct, open_: ProofMethods, shown: _Presented) -> PresenceProof:
    """Raises NotProved."""
    if open_.missing:
        raise NotProved(open_.missing)
    ip = request.META.get("REMOTE_ADDR", "")
    if shown.credential and open_.passkey:
        attempt = SignInAttempt(ip=ip, email=user.email, kind="second-step")
        if not attempt.begin():
            raise NotProved(TOO_MANY)
        factor = second_factors.check_passkey(shown.credential, user, subject=_subject(request, user, act, shown))
        if factor is None:
            wrong_proof.send(User, user=user, kind=ProofKind.PASSKEY)
            raise NotProved(WRONG_PASSKEY)
        attempt.succeeded()
        request_origin.proved(ProofKind.PASSKEY)
        return PresenceProof(factor=factor)
    if not open_.typed or not (shown.password or shown.code):
        raise NotProved
    if open_.password:
        _check_password(user, shown.password, ip)
    if open_.code:
        _check_code(user, shown.code, ip)
    request_origin.proved(_TYPED[open_.password, open_.code])
    return PresenceProof()


_TYPED = {
    (True, True): ProofKind.PASSWORD_AND_CODE,
    (True, False): ProofKind.PASSWORD,
    (False, True): ProofKind.CODE,
}


def _check_password(user: User, password: str, ip: str) -> None:
    # Counted apart from the sign-in page, so that no stranger who guesses there keeps the owner from this.
    attempt = SignInAttempt(ip=ip, email=user.email, kind="again")
    if not password:
        raise NotProved(_TYPE_PASSWORD)
    if not attempt.begin():
        raise NotProved(TOO_MANY)
    if not user.check_password(password):
        wrong_proof.send(User, user=user, kind=ProofKind.PASSWORD)
        raise NotProved(WRONG_PASSWORD)
    attempt.succeeded()


def _check_code(user: User, code: str, ip: str) -> None:
    attempt = SignInAttempt(ip=ip, email=user.email, kind="second-step")
    if not attempt.begin():
        raise NotProved(TOO_MANY)
    if not code or not second_factors.check_code(user, code):
        wrong_proof.send(User, user=user, kind=ProofKind.CODE)
        raise NotProved(WRONG_CODE)
    attempt.succeeded()


def _subject(request: HttpRequest, user: User, act: PresenceAct, shown: _Presented) -> str:
    bound = [act.value, user.pk, request.session.session_key, *shown.said]
    return f"act {hashlib.sha256(json.dumps(bound).encode()).hexdigest()}"


# -- pages ---------------------------------------------------------------------------------------------------


def proof_fields(request: HttpRequest, act: PresenceAct, *, live: bool, error: str = "") -> ProofFields:
    """For a form that asks for the proof itself, before it was sent."""
    assert isinstance(request.user, User)
    return ProofFields(ways=proof_methods(request.user, act, live=live), error=error)


def require_proof(
    request: HttpRequest,
    act: PresenceAct,
    *,
    about: str,
    back: str,
    live: bool = False,
    environment: str = "",
    page: Callable[[ProofFields], HttpResponse] | None = None,
) -> PresenceProof | HttpResponse:
    """The proof that came with this form, or the page that asks for it and sends the same form again.

    ``about`` is one sentence of ours that says what will be done. A form that holds a secret shows the fields itself:
    ``page`` renders it. The challenge a passkey signs is fetched by sending the form with ``?challenge``.
    """
    user = request.user
    assert isinstance(user, User)
    open_, shown = proof_methods(user, act, live=live), _from_form(request)
    if _CHALLENGE in request.GET and open_.passkey:
        return JsonResponse(second_factors.request_options_about(user, _subject(request, user, act, shown)))
    try:
        return _prove(request, user, act, open_, shown)
    except NotProved as refused:
        found = ProofFields(ways=open_, error="" if str(refused) == open_.missing else str(refused))
    if page is not None:
        return page(found)
    context = {
        "proof": found,
        "heading": ACTS[act].words,
        "about": about,
        "back": back,
        "environment": environment,
        "action": _form_address(request),
        "sent": [
            (name, value) for name, values in request.POST.lists() if name not in _NO_PARAMETER for value in values
        ],
    }
    answer = render(request, "accounts/presence.html", context)
    add_never_cache_headers(answer)  # what was typed stands in it
    return answer


def _from_form(request: HttpRequest) -> _Presented:
    sent = [
        (name, value.replace("\r\n", "\n"))
        for name, values in sorted(request.POST.lists())
        if name not in _NO_PARAMETER
        for value in values
    ]
    return _Presented(
        said=[f"{request.method} {_form_address(request)}", urlencode(sent)],
        credential=request.POST.get(_CREDENTIAL, ""),
        password=request.POST.get(_PASSWORD, ""),
        code=request.POST.get(_CODE, ""),
    )


def _form_address(request: HttpRequest) -> str:
    """The address of the form, whether it is sent or asks for its challenge."""
    query = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)
    rest = urlencode([(name, value) for name, value in query if name != _CHALLENGE])
    return f"{request.path}?{rest}" if rest else request.path


# -- programs ------------------------------------------------------------------------------------------------


def proof_from_body(
    request: HttpRequest,
    user: User,
    act: PresenceAct,
    *,
    live: bool,
    said: Mapping[str, Any],
    proof: object,
    shown: str = "",
) -> PresenceProof:
    """The proof that came as the member ``proof`` beside ``said``. Raises ProofNeeded.

    ``shown``: a digest of what else the proof is for, such as the terms of an order.

    Its answer offers what can be shown: ``password`` and ``code`` to be sent, or the challenge for ``passkey``.
    """
    told = proof if isinstance(proof, Mapping) else {}
    passkey = told.get("passkey")
    presented = _Presented(
        said=[f"{request.method} {request.get_full_path()}", json.dumps(said, sort_keys=True, default=str), shown],
        credential=json.dumps(passkey) if isinstance(passkey, Mapping) else "",
        password=_text(told.get("password")),
        code=_text(told.get("code")),
    )
    open_ = proof_methods(user, act, live=live)
    try:
        return _prove(request, user, act, open_, presented)
    except NotProved as refused:
        raise _proof_needed(request, user, act, open_, presented, str(refused)) from refused


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _proof_needed(
    request: HttpRequest, user: User, act: PresenceAct, open_: ProofMethods, shown: _Presented, refused: str
) -> ProofNeeded:
    if open_.missing:
        return ProofNeeded(f"{open_.missing} Nothing was done.", {})
    offers: dict[str, Any] = {}
    if open_.passkey:
        offers["passkey"] = dict(second_factors.request_options_about(user, _subject(request, user, act, shown)))
    if open_.typed:
        offers["typed"] = [name for name in ("password", "code") if getattr(open_, name)]
    asked = (
        "a passkey's response to the challenge in this refusal"
        if open_.passkey
        else " and ".join(
            {"password": "your password", "code": "a code from your authenticator app"}[name]
            for name in offers["typed"]
        )
    )
    return ProofNeeded(
        f"{f'{refused} ' if refused else ''}{ACTS[act].words}: this allows more than before, so it needs a proof of "
        f"presence for this request. Send the same request again with {asked} as proof. Nothing was done.",
        offers,
    )
