from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import scopes
from console.accounts.presence import Act as Presence
from console.api.door import Act, Door, PageQuery
from console.api.parsing import Choice, Strict, Text, Whole
from console.authority.drf import Need
from console.errors import Code, Refusal
from console.keys import minting
from console.keys.models import ApiKey
from console.onboarding import home
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
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.SerializerMethodField()
    last_used_at = serializers.DateTimeField(source="app.last_used_at", allow_null=True)

    def get_scopes(self, key: ApiKey) -> list[str]:
        return key.app.scopes.split()

    def get_revoked_at(self, key: ApiKey) -> str | None:
        ended = key.revoked_at or key.app.revoked_at
        return None if ended is None else ended.isoformat().replace("+00:00", "Z")


class MintedOut(serializers.Serializer[Any]):
    key = KeyOut()
    secret = serializers.CharField(help_text="The whole key. Shown this once.")


class KeyIn(Strict):
    name = Text(max_length=100)
    connection_id = Whole(min_value=1, max_value=2**63 - 1)
    scopes = serializers.ListField(
        child=Choice(choices=[scope.value for scope in scopes.ALL]),
        allow_empty=False,
        max_length=len(scopes.ALL),
        default=[Scope.READ.value],
    )
    expires_in_days = Whole(min_value=1, max_value=3650, default=90, allow_null=True, help_text="Null: never.")


class _Keys(Door):
    tag = "API keys"

    def own(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(app__owner=self.caller.owner).select_related("app__connection")


class Keys(_Keys):
    acts = {
        "GET": Act(
            name="list_keys",
            needs=Need.MANAGE,
            about="Your API keys, newest first; those that have ended, too.",
            answers=KeyOut,
            paged=True,
            asks=PageQuery,
        ),
        "POST": Act(
            name="mint_key",
            needs=Need.MANAGE,
            about="Make an API key for a connection. The secret is in the answer, once.",
            answers=MintedOut,
            status=201,
            takes=KeyIn,
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page(self.own())

    def post(self, request: Request) -> Response:
        granted = frozenset(Scope(scope) for scope in self.given["scopes"])
        if Scope.TRADE in granted:
            self.need(Need.WIDEN)
        connection = home.connections(self.caller.owner).filter(pk=self.given["connection_id"]).first()
        if connection is None:
            raise Refusal(Code.NOT_FOUND, "You have no such connection.", field="connection_id")
        if Scope.TRADE in granted:
            self.prove(Presence.MINT_KEY, live=connection.is_live)
        days = self.given["expires_in_days"]
        key, raw = minting.mint(
            self.caller.owner,
            connection,
            granted,
            name=self.given["name"],
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
        )
        return self.answer({"key": key, "secret": raw}, secret=True)


class OneKey(_Keys):
    acts = {"GET": Act(name="get_key", needs=Need.MANAGE, about="One API key.", answers=KeyOut)}

    def get(self, request: Request, key_id: str) -> Response:
        return self.answer(get_object_or_404(self.own(), public_id=key_id))


class RevokeKey(_Keys):
    acts = {
        "POST": Act(
            name="revoke_key",
            needs=Need.MANAGE,
            about="End an API key, from the next request on. Its record stays.",
            answers=KeyOut,
        )
    }

    def post(self, request: Request, key_id: str) -> Response:
        key = get_object_or_404(self.own(), public_id=key_id)
        minting.revoke(key, by=self.caller.owner)
        return self.answer(key)
