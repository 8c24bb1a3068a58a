from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import scopes
from console.accounts.presence import PresenceAct as Presence
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Choice, Flag, Strict, Text
from console.authority.drf import Need
from console.clients import registration
from console.clients.models import Client, ClientKind
from console.clients.redirect_uri_rules import MAX_NAME_LENGTH, MAX_REDIRECT_URIS, MAX_URI_LENGTH
from console.connected_apps import grants
from console.scopes import Scope


class ClientOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    client_id = serializers.CharField()
    name = serializers.CharField()
    redirect_uris = serializers.SerializerMethodField()
    scopes = serializers.SerializerMethodField(help_text="The widest scope it can request.")
    confidential = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(source="created")

    def get_redirect_uris(self, client: Client) -> list[str]:
        return client.redirect_uris.split()

    def get_scopes(self, client: Client) -> list[str]:
        return client.scopes.split()

    def get_confidential(self, client: Client) -> bool:
        return client.client_type == Client.CLIENT_CONFIDENTIAL


class RegisteredOut(serializers.Serializer[Any]):
    client = ClientOut()
    client_secret = serializers.CharField(
        allow_null=True, help_text="Only for a confidential client. Shown only this once."
    )


class ClientIn(Strict):
    name = Text(max_length=MAX_NAME_LENGTH)
    redirect_uris = serializers.ListField(
        child=Text(max_length=MAX_URI_LENGTH), allow_empty=False, max_length=MAX_REDIRECT_URIS
    )
    scopes = serializers.ListField(
        child=Choice(choices=[scope.value for scope in scopes.ALL]),
        allow_empty=False,
        max_length=len(scopes.ALL),
        help_text="The widest scope it can request.",
    )
    confidential = Flag(default=False)


class _Clients(ApiView):
    tag = "OAuth clients"

    def own(self) -> QuerySet[Client]:
        return Client.objects.filter(user=self.caller.owner, kind=ClientKind.STATIC, deleted_at=None)


class Clients(_Clients):
    acts = {
        "GET": Operation(
            name="list_clients",
            needs=Need.MANAGE,
            about="The OAuth clients you registered, newest first.",
            answers=ClientOut,
            paged=True,
            asks=PageQuery,
        ),
        "POST": Operation(
            name="register_client",
            needs=Need.MANAGE,
            about="Register an OAuth client. A confidential one's secret is in the answer, once.",
            answers=RegisteredOut,
            status=201,
            takes=ClientIn,
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page(self.own())

    def post(self, request: Request) -> Response:
        if Scope.TRADE.value in self.given["scopes"]:
            self.prove(Presence.REGISTER_CLIENT)
        client, secret = registration.register_static(
            self.caller.owner,
            name=self.given["name"],
            redirect_uris=self.given["redirect_uris"],
            scopes=frozenset(Scope(scope) for scope in self.given["scopes"]),
            confidential=self.given["confidential"],
            by_key=self.caller.by_key,
        )
        self.done = f"Registered the client {client.client_id}."
        return self.answer({"client": client, "client_secret": secret}, secret=True)


class OneClient(_Clients):
    acts = {
        "GET": Operation(name="get_client", needs=Need.MANAGE, about="One OAuth client.", answers=ClientOut),
        "DELETE": Operation(
            name="delete_client",
            needs=Need.STOP,
            about="Delete an OAuth client. Every app connected through it loses access.",
            status=204,
        ),
    }

    def get(self, request: Request, client_pk: int) -> Response:
        return self.answer(get_object_or_404(self.own(), pk=client_pk))

    def delete(self, request: Request, client_pk: int) -> Response:
        client = get_object_or_404(self.own(), pk=client_pk)
        grants.delete_client(client, by=self.caller.owner, by_key=self.caller.by_key)
        return self.answer(None)
