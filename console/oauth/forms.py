"""The consent form: which connection, and how much of what was asked for."""

from typing import cast

from django import forms

from console import scopes
from console.accounts.models import User
from console.connections.models import Connection
from console.scopes import Scope

_READ = frozenset({Scope.READ})
_TRADE = frozenset(scopes.ALL)


class ConsentForm(forms.Form):
    connection = forms.ModelChoiceField(Connection.objects.none(), error_messages={"required": "Choose a connection."})
    scope = forms.ChoiceField(error_messages={"required": "Choose what it may do."})
    ask = forms.ChoiceField(required=False, choices=[("yes", "yes"), ("no", "no")])
    """Whether its user is asked in their client before an order goes; yes where nothing is said."""

    def __init__(self, data: object = None, *, owner: User, offered: frozenset[Scope]) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict or None
        own = Connection.objects.filter(owner=owner, closed_at=None)
        self._connection_field.queryset = own
        self.connections = sorted(own, key=lambda connection: connection.is_live)
        self.may_trade = Scope.TRADE in offered
        levels = [_READ, _TRADE] if self.may_trade else [_READ]
        self._scope_field.choices = [(scopes.render(level), scopes.label(level)) for level in levels]
        self.read_value = scopes.render(_READ)
        self.trade_value = scopes.render(_TRADE)

    @property
    def _connection_field(self) -> "forms.ModelChoiceField[Connection]":
        return cast("forms.ModelChoiceField[Connection]", self.fields["connection"])

    @property
    def _scope_field(self) -> forms.ChoiceField:
        return cast(forms.ChoiceField, self.fields["scope"])

    @property
    def chosen_connection(self) -> str:
        """The paper account is a good first choice; real money is chosen by hand, unless it is all there is."""
        if self.is_bound:
            return str(self.data.get("connection", ""))
        paper = [each for each in self.connections if not each.is_live]
        first = paper[:1] or (self.connections if len(self.connections) == 1 else [])
        return str(first[0].pk) if first else ""

    @property
    def chosen_scope(self) -> str:
        return str(self.data.get("scope", "")) if self.is_bound else self.read_value

    @property
    def chosen_ask(self) -> str:
        return "no" if self.is_bound and self.data.get("ask") == "no" else "yes"

    @property
    def granted(self) -> frozenset[Scope]:
        return scopes.parse(self.cleaned_data["scope"])
