from typing import Any

from django import forms
from django.db.models import QuerySet

from console.accounts.models import User
from console.audit.models import Call, CallOutcome
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code
from console.scopes import Source


class ActivityFilter(forms.Form):
    """The query string is the only filter state. A value that does not fit is left out, and said so."""

    use_required_attribute = False
    request = forms.CharField(label="Request id", required=False, max_length=40)
    tool = forms.CharField(label="Tool", required=False, max_length=128)
    outcome = forms.ChoiceField(label="Result", required=False, choices=[("", "Any"), *CallOutcome.choices])
    connection = forms.ModelChoiceField(
        label="Connection", required=False, queryset=Connection.objects.none(), empty_label="Any"
    )
    app = forms.ModelChoiceField(label="App", required=False, queryset=ConnectedApp.objects.none(), empty_label="Any")
    code = forms.ChoiceField(
        label="Code", required=False, choices=[("", "Any"), *sorted((code.value, code.value) for code in Code)]
    )

    def __init__(self, *args: Any, owner: User, everyone: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = Connection.objects.order_by("name")
        apps = ConnectedApp.objects.exclude(source=Source.CONSOLE).order_by("name", "-id")
        if not everyone:
            connections, apps = connections.filter(owner=owner), apps.filter(owner=owner)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only
        self.fields["app"].queryset = apps  # type: ignore[attr-defined]  # set on the instance only

    @property
    def is_active(self) -> bool:
        return any(self.cleaned_data.values())

    def apply(self, calls: QuerySet[Call]) -> QuerySet[Call]:
        self.is_valid()
        asked = self.cleaned_data
        conditions = {
            "request_id": asked.get("request"),
            "tool": asked.get("tool"),
            "outcome": asked.get("outcome"),
            "code": asked.get("code"),
            "connection_id": asked["connection"].pk if asked.get("connection") else None,
            "app_id": asked["app"].pk if asked.get("app") else None,
        }
        return calls.filter(**{name: value for name, value in conditions.items() if value})
