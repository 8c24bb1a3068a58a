from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import parsing
from console.api.base import ApiView, Operation
from console.audit.api import Everyone
from console.authority.drf import Need
from console.errors import Code, Refusal
from console.recent_errors import queries, rollup
from console.recent_errors.queries import GroupInSpan
from console.toolsets import Toolset


class ErrorsQuery(Everyone):
    span = parsing.Choice(choices=list(queries.SPANS), default="12h")


class GroupOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="group.pk")
    fingerprint = serializers.CharField(
        source="group.fingerprint", help_text="What makes the group: code, tool, connection and message."
    )
    code = serializers.CharField(source="group.code")
    title = serializers.CharField(source="explanation.title")
    advice = serializers.CharField(source="explanation.advice")
    blame = serializers.SerializerMethodField(help_text="Whose fault it is; nobody: a limit or a no that worked.")
    tool = serializers.CharField(source="group.tool")
    connection_id = serializers.IntegerField(source="group.connection_id", allow_null=True)
    connection = serializers.CharField(source="group.connection_label")
    environment = serializers.CharField(source="group.environment")
    state = serializers.ChoiceField(choices=["open", "regression", "resolved", "muted"])
    apps = serializers.IntegerField(help_text="How many apps ran into it.")
    calls = serializers.IntegerField()
    first_seen = serializers.DateTimeField(source="group.first_seen")
    last_seen = serializers.DateTimeField()

    def get_blame(self, found: GroupInSpan) -> str:
        return found.explanation.blame.value


class GroupsOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField(help_text="Spans begin with a full hour.")
    items = GroupOut(many=True)


class Errors(ApiView):
    tag = "Activity"
    acts = {
        "GET": Operation(
            name="list_errors",
            needs=Need.READ,
            toolset=Toolset.JOURNAL,
            about="Failed calls grouped by code, tool, connection and message, most recent first; at most 100 groups.",
            answers=GroupsOut,
            asks=ErrorsQuery,
        )
    }

    def get(self, request: Request) -> Response:
        """A key sees its own app's calls; a person all of theirs, and an operator who asks everybody's."""
        caller, now = self.caller, timezone.now()
        everyone = "everyone" in self.given
        if everyone and not caller.sees_everyone:
            raise Refusal(Code.NOT_PERMITTED, "Only an operator in a console session can see everyone's.")
        rollup.catch_up()
        span, app = queries.SPANS[self.given["span"]][0], caller.principal
        groups = queries.own_groups(app.user_id) if app else queries.visible_groups(caller.owner, everyone=everyone)
        found = queries.in_span(groups, span=span, now=now, app_id=app.app_id if app else None)
        return self.answer({"since": queries.start_of(span, now), "items": found})
