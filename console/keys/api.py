from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import scopes
from console.accounts.presence import PresenceAct as Presence
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Choice, Strict, Text, Whole
from console.authority.drf import Need
from console.connected_apps.forms import MOST_CALLS
from console.connected_apps.grants import AppRestrictions
from console.connections import queries as connection_queries
from console.errors import Code, Refusal
from console.keys import child_keys, ip_allow_list, minting
from console.keys.models import ApiKey
from console.limits import Limits
from console.scopes import Scope


class KeyOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    hint = serializers.CharField()
    name = serializers.CharField(source="app.name")
    app_id = serializers.IntegerField()
    connection_id = serializers.IntegerField(source="app.connection_id")
    environment = serializers.CharField(source="app.connection.environment")
    scopes = serializers.SerializerMethodField()
    is_default = serializers.BooleanField()
    networks = serializers.ListField(
        child=serializers.CharField(), help_text="IP addresses it works from. Empty: anywhere."
    )
    made_by = serializers.CharField(
        source="made_by.public_id",
        default=None,
        allow_null=True,
        help_text="The management key that created it and that it ends with. Null: a person created it.",
    )
    calls_per_minute = serializers.IntegerField(source="app.calls_per_minute", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    never_reason = serializers.CharField()
    revoked_at = serializers.SerializerMethodField()
    revoked_reason = serializers.CharField()
    last_used_at = serializers.DateTimeField(source="app.last_used_at", allow_null=True)

    def get_scopes(self, key: ApiKey) -> list[str]:
        return key.app.scopes.split()

    def get_revoked_at(self, key: ApiKey) -> str | None:
        ended = key.revoked_at or key.app.revoked_at
        return None if ended is None else ended.isoformat().replace("+00:00", "Z")


class MintedOut(serializers.Serializer[Any]):
    key = KeyOut()
    secret = serializers.CharField(help_text="The whole key. Shown only this once.")


class KeyIn(Strict):
    name = Text(max_length=100)
    connection_id = Whole(min_value=1, max_value=2**63 - 1)
    scopes = serializers.ListField(
        child=Choice(choices=[scope.value for scope in scopes.ALL]),
        allow_empty=False,
        max_length=len(scopes.ALL),
        default=[Scope.READ.value],
    )
    expires_in_days = Whole(
        min_value=1,
        max_value=3650,
        default=90,
        allow_null=True,
        help_text="Null: never. A key created by a management key ends no later than that key.",
    )
    never_reason = Text(
        required=False, max_length=200, help_text="Why it never ends. Required of a person with expires_in_days null."
    )
    calls_per_minute = Whole(
        min_value=1,
        max_value=MOST_CALLS,
        required=False,
        help_text="At most so many calls a minute; cancels are not counted. Left out: as many as its user may make.",
    )
    networks = serializers.ListField(
        child=Text(max_length=50),
        required=False,
        max_length=ip_allow_list.MOST,
        help_text="Addresses it works from, such as 203.0.113.0/24. Left out: anywhere; with a management key, "
        "wherever that key and the address-restricted keys on the connection work.",
    )

    def validate_networks(self, value: list[str]) -> list[str]:
        try:
            return ip_allow_list.parse(" ".join(value))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class KeysQuery(PageQuery):
    made_by = Text(required=False, max_length=16, help_text="The id of the management key that made them.")


class _Keys(ApiView):
    tag = "API keys"

    def own(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(app__owner=self.caller.owner).select_related("app__connection", "made_by")


class Keys(_Keys):
    acts = {
        "GET": Operation(
            name="list_keys",
            needs=Need.MANAGE,
            about="Your API keys, newest first, including those that have ended.",
            answers=KeyOut,
            paged=True,
            asks=KeysQuery,
        ),
        "POST": Operation(
            name="mint_key",
            needs=Need.MANAGE,
            about="Create an API key for a connection. The answer contains the secret, once. A management key can "
            "create one that trades only if its owner allowed that, and never one that can do more than the "
            "apps there.",
            answers=MintedOut,
            status=201,
            takes=KeyIn,
        ),
    }

    def get(self, request: Request) -> Response:
        made_by = self.given.get("made_by")
        return self.page(self.own() if made_by is None else self.own().filter(made_by__public_id=made_by))

    def post(self, request: Request) -> Response:
        granted = frozenset(Scope(scope) for scope in self.given["scopes"])
        if Scope.TRADE in granted and not self.caller.by_key:
            self.need(Need.WIDEN)
        connection = (
            connection_queries.open_connections(self.caller.owner).filter(pk=self.given["connection_id"]).first()
        )
        if connection is None:
            raise Refusal(Code.NOT_FOUND, "You have no such connection.", field="connection_id")
        if Scope.TRADE in granted:
            self.prove(Presence.MINT_KEY, live=connection.is_live)
        days, addresses = self.given["expires_in_days"], self.given.get("networks", ())
        if days is None and not self.caller.by_key and "never_reason" not in self.given:
            raise Refusal(
                Code.MISSING_ARGUMENT,
                "A key that never ends needs never_reason. Nothing was created.",
                field="never_reason",
            )
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        if self.caller.by_key:
            key, raw = child_keys.mint(
                self.caller.by_key,
                connection,
                granted,
                name=self.given["name"],
                expires_at=expires_at,
                addresses=addresses,
                calls_per_minute=self.given.get("calls_per_minute"),
            )
        else:
            key, raw = minting.mint(
                self.caller.owner,
                connection,
                granted,
                name=self.given["name"],
                expires_at=expires_at,
                networks=addresses,
                never_reason=self.given.get("never_reason", ""),
                start=AppRestrictions(Limits(), None, self.given.get("calls_per_minute")),
            )
        self.done = f"Made the key {key.public_id}."
        return self.answer({"key": key, "secret": raw}, secret=True)


class OneKey(_Keys):
    acts = {"GET": Operation(name="get_key", needs=Need.MANAGE, about="One API key.", answers=KeyOut)}

    def get(self, request: Request, key_id: str) -> Response:
        return self.answer(get_object_or_404(self.own(), public_id=key_id))


class RevokeKey(_Keys):
    acts = {
        "POST": Operation(
            name="revoke_key",
            needs=Need.STOP,
            about="Revoke an API key, starting with its next request. Its record stays.",
            answers=KeyOut,
        )
    }

    def post(self, request: Request, key_id: str) -> Response:
        key = get_object_or_404(self.own(), public_id=key_id)
        by_key = self.caller.by_key
        reason = "Revoked with a management key" if by_key else "Revoked by its owner"
        minting.revoke(key, by=self.caller.owner, reason=reason, by_key=by_key)
        return self.answer(key)
