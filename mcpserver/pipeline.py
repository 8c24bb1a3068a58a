"""One tool call, top to bottom: admission, arguments, the tool, the audit log. Runs in a worker thread.

The answer is returned only after its row in the audit log is committed.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from brokers.types import Environment
from console import request_origin, telemetry
from console.audit import call_context
from console.audit import log as audit_log
from console.audit.call_context import UNKNOWN, CallContext
from console.audit.models import CallOutcome
from console.authority import admission, call_quota, last_used
from console.authority.call_quota import CallKind
from console.errors import DATABASE_AWAY, Code, Refusal, database_away, first_line
from console.help import error_links
from console.principal import Manager, Principal
from console.toolsets import Toolset
from console.untrusted_text import escape_hidden
from mcpserver import catalog
from mcpserver.arguments import base as arguments
from mcpserver.catalog import Tool
from mcpserver.context import Report, ToolAnswer, ToolCall, ignore_progress, is_readable, readable
from mcpserver.json_text import to_json
from mcpserver.tools.render import compact, moment

log = logging.getLogger(__name__)


# Refusals that come before the throttle has counted the call, or because of it.
_FREE = frozenset({Code.RATE_LIMITED, Code.APP_PAUSED, Code.INSUFFICIENT_SCOPE})


Find = Callable[[str], Tool | None]


class UnknownTool(Exception):
    """No such tool: a protocol error (MCP tools, "Error Handling"), not a tool's answer."""


class TooManyRequests(Exception):
    """Lists or greetings without end: told by HTTP, for there is no call to answer."""

    def __init__(self, principal: Principal, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.principal, self.refusal = principal, refusal


class CallAttempt(NamedTuple):
    """A call that was made. Its answer may leave once ``entry``, where there is one, is committed."""

    call: ToolCall
    tool: Tool | None
    content: dict[str, Any]
    refusal: Refusal | None
    entry: audit_log.Entry | None

    def answer(self, error: DatabaseError | None = None) -> ToolAnswer:
        """As it is: what is hidden in it is not written out. ``error``: why the entry is not in the audit log.

        Raises UnknownTool.
        """
        refusal = self.refusal
        if error is not None:
            log.error("The audit log cannot be written in request %s", self.call.request_id, exc_info=error)
            # A cancel has happened and its caller must know; anything else must not leave without its row.
            if self.tool is None or self.tool.throttle is not CallKind.CANCEL:
                refusal = Refusal(
                    Code.AUDIT_UNAVAILABLE,
                    "The activity log cannot be written, so this answer is withheld. Call get_order_status before you "
                    "repeat anything.",
                    order_id=self.call.order_id,
                )
        if self.tool is None and self.entry is not None:
            raise UnknownTool(escape_hidden(str(refusal)))
        context = _context(self.call, is_recorded=error is None)
        if refusal is not None:
            return ToolAnswer(content={"error": _error(refusal), "context": context}, is_error=True)
        return ToolAnswer(content={**self.content, "context": context})


def call(
    principal: Principal,
    name: str,
    given: Mapping[str, Any],
    *,
    request_id: str,
    find: Find = catalog.find,
    report: Report = ignore_progress,
    context: CallContext = UNKNOWN,
) -> ToolAnswer:
    """Run one tool for one principal. Refusals come back as answers a model can act on; raises UnknownTool.

    ``find`` says which tools there are; reads that are no tools (resources, prompts, completion) pass with a
    table of their own.
    """
    try:
        made = attempt(principal, name, given, request_id=request_id, find=find, report=report, context=context)
        if made.entry is None:
            return _readable(made.answer())
        # The row is committed on a connection of its own: who kept one while waiting for it could empty the pool.
        close_old_connections()
        try:
            audit_log.record_call(made.entry)
        except DatabaseError as error:
            return _readable(made.answer(error))
        return _readable(made.answer())
    finally:
        close_old_connections()


def _readable(answer: ToolAnswer) -> ToolAnswer:
    return answer if is_readable(to_json(answer.content)) else replace(answer, content=readable(answer.content))


def attempt(
    principal: Principal,
    name: str,
    given: Mapping[str, Any],
    *,
    request_id: str,
    find: Find = catalog.find,
    report: Report = ignore_progress,
    context: CallContext = UNKNOWN,
) -> CallAttempt:
    """The same, up to its row: the caller has it committed and returns this thread's connection."""
    started = time.perf_counter_ns()
    tool = find(name)
    this = ToolCall(principal=principal, request_id=request_id, args={}, account_id=principal.account_id, report=report)
    refusal: Refusal | None = None
    outcome, content = CallOutcome.OK, dict[str, Any]()
    call_context.begin()
    try:
        if tool is None:
            admission.admit(principal, admission.PlainEndpoint(name="A tool call", toolset=Toolset.CORE))
            raise _unknown_tool(principal, name, find)
        with telemetry.span("gate"):
            admission.admit(principal, tool)
            catalog.check_offered(principal, tool)
            catalog.check_legs_offered(principal, tool, given)
        this.args = arguments.parse(tool.args, given)
        origin = request_origin.begin(principal, request_id)
        try:
            with telemetry.span(f"tool {tool.name}"):
                content = tool.run(this)
        finally:
            request_origin.end(origin)
    except Refusal as error:
        refusal, outcome = error, CallOutcome.REFUSED
        this.order_id = this.order_id or error.order_id
    except DATABASE_AWAY as error:
        log.error("The database did not answer tool %s in request %s: %s", name[:128], request_id, first_line(error))
        refusal, outcome = database_away(did_nothing=False), CallOutcome.FAILED
        refusal.order_id = this.order_id
    except Exception:
        log.exception("Tool %s failed in request %s", name[:128], request_id)
        refusal = Refusal(
            Code.INTERNAL_ERROR,
            f"Something went wrong in Tradelatch. The operator can find it in the log under {request_id}.",
            order_id=this.order_id,
        )
        outcome = CallOutcome.FAILED

    if refusal is not None and refusal.code in _FREE and call_quota.is_flood(principal.credential_id):
        log.warning("Refused %s for %s, in request %s", refusal.code, principal.app_label, request_id)
        return CallAttempt(this, tool, content, refusal, None)
    _record_use(principal)
    entry = audit_log.Entry(
        request_id=request_id,
        principal=principal,
        tool=tool.name if tool else name,
        arguments=given,
        outcome=outcome,
        code=refusal.code if refusal else None,
        message=str(refusal) if refusal else "",
        order_id=this.order_id,
        duration_us=(time.perf_counter_ns() - started) // 1000,
        ip=principal.ip,
        user_agent=principal.user_agent,
        confirmed_after_ms=this.confirmed_after_ms,
        context=context,
    )
    return CallAttempt(this, tool, content, refusal, entry)


def _unknown_tool(principal: Principal, name: str, find: Find) -> Refusal:
    near = [each for each in catalog.similar(principal, name) if find(each) is not None]
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return Refusal(Code.UNKNOWN_TOOL, f"This server has no tool {name[:128]!r}. {meant}List the tools to see them all.")


def count_listing(principal: Principal) -> None:
    """Count what is no call: a list, a greeting, a discovery. A host that lists is connected, whether or not it calls.

    Raises TooManyRequests. It uses up no call, and no call uses it up.
    """
    try:
        call_quota.check(principal.user_id, principal.app_id, CallKind.LIST)
        _record_use(principal)
    except Refusal as refusal:
        raise TooManyRequests(principal, refusal) from refusal


def _record_use(principal: Principal) -> None:
    try:
        last_used.record(principal)
    except DatabaseError:
        log.exception("The last use of %s cannot be written", principal.app_label)


def reject(
    principal: Principal | Manager | None,
    refusal: Refusal,
    *,
    request_id: str,
    tool: str = "",
    ip: str,
    user_agent: str,
    context: CallContext = UNKNOWN,
) -> None:
    """Write the row of a request that was refused before any tool, up to a number of them a minute."""
    call_context.begin()
    app = principal if isinstance(principal, Principal) else None
    if call_quota.is_flood(principal.credential_id if principal else ""):
        log.warning("Turned away %s: %s, in request %s", app.app_label if app else ip, refusal, request_id)
        return
    try:
        audit_log.record_call(
            audit_log.Entry(
                request_id=request_id,
                principal=principal,
                tool=tool,
                outcome=CallOutcome.REFUSED,
                code=refusal.code,
                message=str(refusal),
                duration_us=0,
                ip=ip,
                user_agent=user_agent,
                context=context,
            )
        )
    except DatabaseError:
        log.exception("The audit log cannot be written in request %s", request_id)
    finally:
        close_old_connections()


def _context(this: ToolCall, *, is_recorded: bool = True) -> dict[str, Any]:
    who = this.principal
    context = {
        **_whereabouts(who.connection_label, who.broker, who.environment, this.account_id),
        "as_of": moment(timezone.now()),
        "request_id": this.request_id,
    }
    return context if is_recorded else {**context, "not_recorded": True}


@lru_cache(maxsize=1024)
def _whereabouts(connection: str, broker: str, environment: Environment, account_id: str) -> Mapping[str, Any]:
    """What is the same in the answers of one connection."""
    return compact(connection=connection, broker=broker, environment=environment.value, account_id=account_id)


def _error(refusal: Refusal) -> dict[str, Any]:
    return compact(
        code=refusal.code.value,
        message=str(refusal),
        retry=refusal.retry.value,
        help=error_links.error_page_url(refusal.code),
        field=refusal.field,
        retry_after_seconds=refusal.retry_after,
        order_id=refusal.order_id,
        limit=dict(refusal.limit) if refusal.limit else None,
        candidates=[dict(each) for each in refusal.candidates] or None,
    )
