"""What every REST endpoint does: who, may they, how often, what was sent; then the audit log, then the answer."""

import base64
import binascii
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.http import urlencode
from rest_framework import exceptions, serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console import base_path, ids, request_origin, tracing, untrusted_text
from console.accounts import presence
from console.accounts.second_factor_required import before_second_factor
from console.api import parsing, problems
from console.api.parsing import Nothing, Strict, StrictJSON
from console.audit import call_context, paging
from console.audit import log as audit_log
from console.audit.models import CallOutcome
from console.authority import call_quota, drf, last_used
from console.authority.credential_refusals import Unauthenticated, WrongAddress
from console.authority.drf import Caller, Credential, CredentialKind, Need
from console.errors import Code, Refusal
from console.principal import Manager, Principal
from console.toolsets import Toolset

log = logging.getLogger(__name__)

MAX_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing an endpoint does, declared once: for the check, for the audit log and for the schema."""

    name: str
    needs: Need
    about: str
    toolset: Toolset | None = None
    """Of the tools that do the same at ``/mcp``: switched off there, it is off here. Every endpoint that apps use
    has one."""
    answers: type[serializers.BaseSerializer[Any]] | None = None
    """None: the answer has no body."""
    status: int = 200
    also: tuple[int, ...] = ()
    """Other statuses of success."""
    paged: bool = False
    takes: type[Strict] = Nothing
    asks: type[Strict] = field(default=Nothing)

    def __post_init__(self) -> None:
        if drf.is_for_apps(self.needs) is (self.toolset is None):
            raise TypeError(
                f"{self.name}: an endpoint belongs to a toolset where apps come through it, and only there."
            )


class PageQuery(Strict):
    limit = parsing.Whole(required=False, min_value=1, max_value=MAX_PAGE, help_text="Default 50.")
    cursor = parsing.Text(required=False, max_length=60, help_text="From the next link of the previous page.")


# Refusals that come before the throttle has counted the call, or because of it: no use of the key either.
_FREE = frozenset(
    {
        Code.UNAUTHENTICATED,
        Code.WRONG_AUDIENCE,
        Code.IP_NOT_ALLOWED,
        Code.RATE_LIMITED,
        Code.APP_PAUSED,
        Code.NOT_PERMITTED,
        Code.INSUFFICIENT_SCOPE,
    }
)


_FAILED = frozenset({Code.INTERNAL_ERROR, Code.DATABASE_UNAVAILABLE})
_NEVER_WITHHELD = frozenset({Need.CANCEL, Need.HALT, Need.STOP})


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation, so Accept is not weighed (RFC 9110 section 12.4.1 allows it)."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        media_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class VisibleJSONRenderer(JSONRenderer):
    """What others wrote leaves with its hidden characters written out."""

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        rendered: bytes = super().render(untrusted_text.escape_hidden_in(data), *args, **kwargs)
        return rendered


class ApiView(APIView):
    """Subclasses declare ``acts`` by method, and a handler for each that finds what was sent in ``given``."""

    acts: ClassVar[Mapping[str, Operation]] = {}
    tag: ClassVar[str] = ""
    authentication_classes = (Credential,)
    permission_classes = ()
    renderer_classes = (VisibleJSONRenderer,)
    parser_classes = (StrictJSON,)
    content_negotiation_class = AlwaysJSON

    caller: Caller
    given: dict[str, Any]
    _body: dict[str, Any]
    _proof: object

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        # A program is told by a problem document of ours, where a page would lead a person on.
        return before_second_factor(super().as_view(**initkwargs))

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.request_id = tracing.current_request_id() or ids.new("req")
        request_origin.name_request(self.request_id)
        self.order_id = ""
        self.done = ""
        self.confirmed_after_ms: int | None = None
        """What was made, in words and by its id, for the audit log."""
        self._started = time.perf_counter_ns()
        call_context.begin()
        self._who: Principal | Manager | None = None
        self._sent: dict[str, Any] = dict(kwargs)
        self._body, self._proof = {}, None
        self._refusal: Refusal | None = None

    @property
    def act(self) -> Operation | None:
        method = self.request.method or ""
        return self.acts.get("GET" if method == "HEAD" else method)

    # -- in ------------------------------------------------------------------------------------------------

    def perform_authentication(self, request: Request) -> None:
        if request.method == "OPTIONS":
            return
        try:
            caller = request.auth
        except (Unauthenticated, WrongAddress) as error:
            self._who = error.principal
            raise
        if not isinstance(caller, Caller):
            raise Unauthenticated("Send an API key as a bearer token, or sign in to the console.")
        self.caller, self._who = caller, caller.on_record
        if self._who is not None:
            request_origin.through(self._who, self.request_id)

    def check_permissions(self, request: Request) -> None:
        if request.method == "OPTIONS":
            return
        if self.act is None:
            raise exceptions.MethodNotAllowed(request.method or "")
        drf.admit(self.caller, self.act.name, self.act.needs, self.act.toolset)
        query = request.query_params
        self._sent |= query.dict()
        self.given = parsing.read_query(self.act.asks, query)
        if request.method not in ("GET", "HEAD"):
            body = dict(request.data)  # an object: StrictJSON takes nothing else
            if self.caller.kind is CredentialKind.SESSION:
                self._proof = body.pop("proof", None)
            self._body = dict(body)
            self._sent |= body
            self.given |= parsing.read(self.act.takes, body)

    def need(self, need: Need) -> None:
        """For an endpoint whose need depends on what was sent."""
        drf.permit(self.caller, need)

    def prove(self, act: presence.PresenceAct, *, live: bool = False, shown: str = "") -> presence.PresenceProof | None:
        """For a session: the proof of presence that came with this request, for this act. Raises ProofNeeded.

        None for other credentials: what they may do stands in the matrix. ``live``: real money is behind it.
        ``shown``: a digest of what else it is for.
        """
        if self.caller.kind is not CredentialKind.SESSION:
            return None
        return presence.proof_from_body(
            self.request._request,
            self.caller.owner,
            act,
            live=live,
            said=self._body,
            proof=self._proof,
            shown=shown,
        )

    def loosen(self, verb: Callable[[bool], object], act: presence.PresenceAct, *, live: bool) -> None:
        """Tighten at once; what would allow more takes the owner at the console. Raises Refusal.

        ``verb`` is told whether it may, and refuses with ``re_authentication_required`` where it must.
        """
        try:
            verb(False)
        except Refusal as refusal:
            if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
                raise
            if self.prove(act, live=live) is None:
                raise Refusal(
                    Code.NOT_PERMITTED,
                    f"This allows more than before, so the owner has to do it in the console, not {self.caller.kind}. "
                    "Nothing was changed.",
                ) from refusal
            verb(True)

    # -- out -----------------------------------------------------------------------------------------------

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    @property
    def allowed_methods(self) -> list[str]:
        return [*self.acts, *(["HEAD"] if "GET" in self.acts else []), "OPTIONS"]

    def handle_exception(self, exc: Exception) -> Response:
        self._refusal = problems.refusal_from(exc, self.request_id)
        response = problems.answer(self._refusal, self.request_id)
        response.exception = True
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self._who is not None and request.method != "OPTIONS":
            response = self._record(response)
        response = super().finalize_response(request, response, *args, **kwargs)
        response["X-Request-ID"] = self.request_id
        if "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-cache"
        return response

    def _record(self, response: Response) -> Response:
        """Commit the call's row. An answer without its row does not leave, but for a cancel or a stop that happened."""
        who, refusal, act = self._who, self._refusal, self.act
        assert who is not None
        outcome = CallOutcome.OK
        if refusal is not None:
            outcome = CallOutcome.FAILED if refusal.code in _FAILED else CallOutcome.REFUSED
        if refusal is not None and refusal.code in _FREE and call_quota.is_flood(who.credential_id):
            log.warning("Refused %s for %s, in request %s", refusal.code, who.credential_id, self.request_id)
            return response
        entry = audit_log.Entry(
            request_id=self.request_id,
            principal=who,
            tool=f"rest:{act.name if act else (self.request.method or '').lower()}",
            arguments=self._sent,
            outcome=outcome,
            code=refusal.code if refusal else None,
            message=str(refusal) if refusal else self.done,
            order_id=self.order_id or (refusal.order_id if refusal else ""),
            duration_us=(time.perf_counter_ns() - self._started) // 1000,
            ip=who.ip,
            user_agent=who.user_agent,
            confirmed_after_ms=self.confirmed_after_ms,
            context=call_context.of_request(self.request.headers),
        )
        try:
            audit_log.record_call(entry)
            if refusal is None or refusal.code not in _FREE:
                last_used.record(who)
        except DatabaseError:
            log.exception("The audit log cannot be written in request %s", self.request_id)
            if act is None or act.needs not in _NEVER_WITHHELD:
                withheld = Refusal(
                    Code.AUDIT_UNAVAILABLE,
                    "The activity log cannot be written, so this answer is withheld. Check your orders before you "
                    "repeat anything.",
                    order_id=entry.order_id,
                )
                return problems.answer(withheld, self.request_id)
        return response

    def answer(self, value: Any, *, status: int | None = None, secret: bool = False) -> Response:
        """``value`` in the words of the act. ``secret``: it is in this answer alone and must not be kept."""
        act = self.act
        assert act is not None
        if act.answers is None:
            return Response(status=status or act.status)
        response = Response(act.answers(value).data, status=status or act.status)
        if secret:
            response["Cache-Control"] = "no-store"
        return response

    def page(
        self,
        found: QuerySet[Any],
        fitting: dict[str, Any] | None = None,
        narrow: Callable[[QuerySet[Any], int], QuerySet[Any]] | None = None,
    ) -> Response:
        """Keyset paging: the second page stays the second page while new rows arrive on top.

        ``fitting``: conditions that no index serves. Then a page may be short, and not the last one. ``narrow``: as
        ``paging.page`` has it, without ``fitting``.
        """
        position = self.position
        if position and not (position.isdecimal() and len(position) < 19):
            raise _no_cursor()
        size = self.given.get("limit", 50)
        if fitting:
            page = paging.page_within(found, fitting, position, size=size)
        else:
            page = paging.page(found, position, size=size, narrow=narrow)
        return self.listed(page.rows, "" if page.next_before is None else str(page.next_before))

    @property
    def position(self) -> str:
        """What the cursor of the page before says: where its list ended. "" without one. Raises Refusal."""
        return _position(self.given.get("cursor"))

    def listed(self, rows: Sequence[Any], following: str) -> Response:
        """One page of ``rows``, and the address of the next, which begins after ``following``; "" on the last."""
        act = self.act
        assert act is not None and act.answers is not None
        address = None
        if following:
            query = {**self.request.GET.dict(), "cursor": _cursor(following)}
            address = f"{base_path.absolute(self.request.path)}?{urlencode(query)}"
        return Response({"items": act.answers(rows, many=True).data, "next": address})


def _cursor(position: str) -> str:
    return base64.urlsafe_b64encode(f"before:{position}".encode()).decode().rstrip("=")


def _position(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    word, _, position = text.partition(":")
    if word != "before" or not position or not position.isprintable():
        raise _no_cursor()
    return position


def _no_cursor() -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, "This is not a cursor from a next link.", field="cursor")


class Nowhere(ApiView):
    """Whatever else is asked for below ``/api/``."""

    schema = None  # DRF's way to leave a view out

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None
        raise Http404
