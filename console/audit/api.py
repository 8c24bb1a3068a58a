from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import parsing
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Strict
from console.audit import newest
from console.audit import queries as call_queries
from console.audit.models import Call, CallOutcome
from console.authority.drf import Need
from console.errors import Code, Refusal
from console.toolsets import Toolset


class CallOut(serializers.Serializer[Any]):
    request_id = serializers.CharField()
    at = serializers.DateTimeField()
    user = serializers.CharField(source="user_label")
    source = serializers.CharField()  # type: ignore[assignment]  # a field's name, not the attribute
    credential_id = serializers.CharField()
    scopes = serializers.SerializerMethodField()
    app_id = serializers.IntegerField(allow_null=True)
    app = serializers.CharField(source="app_label")
    connection_id = serializers.IntegerField(allow_null=True)
    connection = serializers.CharField(source="connection_label")
    environment = serializers.CharField()
    tool = serializers.CharField()
    arguments = serializers.DictField()
    outcome = serializers.ChoiceField(choices=CallOutcome.choices)
    code = serializers.CharField(help_text="Empty if the call succeeded.")
    message = serializers.CharField()
    order_id = serializers.CharField()
    duration_us = serializers.IntegerField()
    confirmed_after_ms = serializers.IntegerField(
        allow_null=True, help_text="Of a call that confirmed an order: how long that had been shown."
    )
    ip = serializers.CharField()
    user_agent = serializers.CharField()
    client_name = serializers.CharField(allow_null=True, help_text="As the MCP client calls itself.")
    client_version = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True, help_text="W3C Trace Context.")
    session_id = serializers.CharField(allow_null=True, help_text="Mcp-Session-Id, where the client sent one.")
    upstream_request_id = serializers.CharField(allow_null=True, help_text="The broker's, where it gives one.")

    def get_scopes(self, call: Call) -> list[str]:
        return call.scopes.split()


class Everyone(Strict):
    everyone = parsing.Choice(choices=["1"], required=False, help_text="Of all users; for operators.")


class ActivityQuery(PageQuery, Everyone):
    tool = parsing.Text(required=False, max_length=128)
    outcome = parsing.Choice(choices=[outcome.value for outcome in CallOutcome], required=False)
    code = parsing.Choice(choices=[code.value for code in Code], required=False)
    connection_id = parsing.Id(required=False)
    app_id = parsing.Id(required=False)
    order_id = parsing.Text(required=False, max_length=40)


_INDEXED = ("app_id", "order_id")
"""Filters that an index serves."""


class _AuditView(ApiView):
    tag = "Activity"

    def visible(self) -> QuerySet[Call]:
        """A key sees its own app's calls; a person all of theirs, and an operator who asks everybody's."""
        if self.caller.principal is not None:
            calls = Call.objects.filter(app_id=self.caller.principal.app_id)
        else:
            calls = call_queries.own_calls(self.caller.owner)
        if "everyone" in self.given:
            if not self.caller.sees_everyone:
                raise Refusal(Code.NOT_PERMITTED, "Only an operator in a console session can see everyone's.")
            calls = Call.objects.all()
        return calls


class Activity(_AuditView):
    acts = {
        "GET": Operation(
            name="list_activity",
            needs=Need.READ,
            toolset=Toolset.JOURNAL,
            about="Calls, newest first. With filters a page can be short or empty while next is set.",
            answers=CallOut,
            paged=True,
            asks=ActivityQuery,
        )
    }

    def get(self, request: Request) -> Response:
        found = self.visible()
        fitting: dict[str, Any] = {}
        for name in ("tool", "outcome", "code", "connection_id", "app_id", "order_id"):
            if name not in self.given:
                continue
            if name in _INDEXED:
                found = found.filter(**{name: self.given[name]})
                found = found.exclude(order_id="") if name == "order_id" else found  # as its index says
            else:
                fitting[name] = self.given[name]
        return self.page(found, fitting)


class OneCall(_AuditView):
    acts = {
        "GET": Operation(
            name="get_call", needs=Need.READ, toolset=Toolset.JOURNAL, about="One call.", answers=CallOut, asks=Everyone
        )
    }

    def get(self, request: Request, request_id: str) -> Response:
        found = newest.of_request(self.visible(), request_id)
        if found is None:
            raise Http404
        return self.answer(found)
