from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import caller_connections, parsing
from console.api.base import ApiView, Operation
from console.api.parsing import Amount, Choice, Flag, Strict, Text
from console.authority.drf import Need
from console.connections.models import Connection
from console.practice import services as practice
from console.practice.services import KNOBS, PRESETS, ModelSettings
from console.toolsets import Toolset


class PracticeModelOut(serializers.Serializer[Any]):
    """What an account trades under; rates in percent, fees in the currency of the instrument."""

    preset = serializers.CharField()
    stamp = serializers.CharField(help_text="The name each fill carries.")
    margin = serializers.BooleanField()

    def get_fields(self) -> dict[str, Any]:
        rates = {
            name: Amount(source=f"rates.{name}", allow_null=True, help_text=f"{knob.words}. Null: no limit.")
            for name, knob in KNOBS.items()
        }
        return {**super().get_fields(), **rates}


class PracticeAccountOut(serializers.Serializer[Any]):
    account_id = serializers.CharField()
    name = serializers.CharField()
    currency = serializers.CharField()
    starting_cash = Amount()
    hours = serializers.CharField()
    model = PracticeModelOut(source="*")


class PracticeAccountsOut(serializers.Serializer[Any]):
    accounts = PracticeAccountOut(many=True)


class PracticeOpenedOut(serializers.Serializer[Any]):
    account = PracticeAccountOut()
    left_out = serializers.ListField(
        child=serializers.CharField(), help_text="Symbols of the original that the simulated market does not have."
    )


class PracticeResetOut(serializers.Serializer[Any]):
    account = PracticeAccountOut()
    cancelled_orders = serializers.IntegerField()
    equity_before = Amount()


class PracticeAccountIn(Strict):
    name = Text(max_length=100)
    cash = Amount(required=False, help_text="Default: the cash of the copied account, or of the first account here.")
    preset = Choice(choices=list(PRESETS), required=False)
    clone_connection_id = parsing.Id(
        required=False,
        help_text="Start as a copy of an account of this connection. A key can use only its own connection.",
    )
    clone_account_id = Text(required=False, max_length=64, help_text="Default: the connection's default account.")


class PracticeResetIn(Strict):
    cash = Amount(required=False, help_text="Default: what it started with.")


class PracticeModelIn(Strict):
    """All of it at once: a rate that is left out is the preset's own."""

    preset = Choice(choices=list(PRESETS))
    margin = Flag(required=False, help_text="It can borrow cash and sell short.")

    def get_fields(self) -> dict[str, Any]:
        rates = {
            name: Amount(required=False, help_text=f"{knob.words}. Default: the preset's value.")
            for name, knob in KNOBS.items()
        }
        return {**super().get_fields(), **rates}


class _Practice(ApiView):
    tag = "Practice accounts"

    def connection(self, pk: int) -> Connection:
        """Raises Http404, also for one whose money is not simulated."""
        found = caller_connections.connection(self.caller, pk)
        if not practice.can_practise(found):
            raise Http404
        return found

    def account(self, pk: int, account_id: str) -> tuple[Connection, ModelSettings]:
        connection = self.connection(pk)
        for each in practice.accounts(connection):
            if each.account_id == account_id:
                return connection, each
        raise Http404

    @property
    def by(self) -> practice.By:
        """An app asks as itself, so that what binds apps binds it."""
        return caller_connections.app_of(self.caller) or self.caller.owner


class PracticeAccounts(_Practice):
    acts = {
        "GET": Operation(
            name="list_practice_accounts",
            needs=Need.READ,
            toolset=Toolset.PAPER,
            about="The practice accounts of a paper connection, the main one first.",
            answers=PracticeAccountsOut,
        ),
        "POST": Operation(
            name="open_practice_account",
            needs=Need.KEEP,
            toolset=Toolset.PAPER,
            about="Open another practice account, or a copy of an account. The connection's other accounts do not "
            "change.",
            answers=PracticeOpenedOut,
            status=201,
            takes=PracticeAccountIn,
        ),
    }

    def get(self, request: Request, connection_id: int) -> Response:
        return self.answer({"accounts": practice.accounts(self.connection(connection_id))})

    def post(self, request: Request, connection_id: int) -> Response:
        connection, given = self.connection(connection_id), self.given
        made = practice.open_account(
            connection,
            name=given["name"],
            by=self.by,
            cash=given.get("cash"),
            preset=given.get("preset"),
            clone_of=self._original(connection),
        )
        return self.answer({"account": made.terms, "left_out": made.left_out})

    def _original(self, connection: Connection) -> tuple[Connection, str] | None:
        pk, account_id = self.given.get("clone_connection_id"), self.given.get("clone_account_id")
        if pk is None and account_id is None:
            return None
        original = connection if pk is None else caller_connections.connection(self.caller, pk)
        return original, account_id or original.default_account


class OnePracticeAccount(_Practice):
    acts = {
        "GET": Operation(
            name="get_practice_account",
            needs=Need.READ,
            toolset=Toolset.PAPER,
            about="One practice account.",
            answers=PracticeAccountOut,
        )
    }

    def get(self, request: Request, connection_id: int, account_id: str) -> Response:
        return self.answer(self.account(connection_id, account_id)[1])


class ResetPracticeAccount(_Practice):
    acts = {
        "POST": Operation(
            name="reset_practice_account",
            needs=Need.KEEP,
            toolset=Toolset.PAPER,
            about="Cancel its orders, write off its positions and start again. Profit and equity start from zero; the "
            "ledger and the journal keep their history.",
            answers=PracticeResetOut,
            takes=PracticeResetIn,
        )
    }

    def post(self, request: Request, connection_id: int, account_id: str) -> Response:
        connection, _ = self.account(connection_id, account_id)
        done = practice.reset_account(
            connection, account_id, by=self.by, cash=self.given.get("cash"), request_id=self.request_id
        )
        return self.answer({"account": done.terms, "cancelled_orders": done.cancelled, "equity_before": done.before})


class SetPracticeModel(_Practice):
    acts = {
        "PUT": Operation(
            name="set_practice_model",
            needs=Need.KEEP,
            toolset=Toolset.PAPER,
            about="The terms from the next fill: fees, slippage, partial fills, borrowing, margin.",
            answers=PracticeAccountOut,
            takes=PracticeModelIn,
        )
    }

    def put(self, request: Request, connection_id: int, account_id: str) -> Response:
        connection, _ = self.account(connection_id, account_id)
        given = self.given
        made = practice.set_model(
            connection,
            account_id,
            by=self.by,
            preset=given["preset"],
            overrides={name: given[name] for name in KNOBS if name in given},
            margin=given.get("margin"),
        )
        return self.answer(made)
