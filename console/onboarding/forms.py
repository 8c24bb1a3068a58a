from typing import Any

from django import forms

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.onboarding import playground
from console.scopes import Scope


class _AppField(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs alone
    def label_from_instance(self, app: Any) -> str:
        environment = app.connection.environment
        return f"{app.name}, on {app.connection.name} ({environment}), {app.scope_label.lower()}"


class PlaygroundForm(forms.Form):
    app = _AppField(label="App", queryset=ConnectedApp.objects.none(), empty_label=None)
    may = forms.ChoiceField(
        label="Access",
        choices=[("same", "Same as the app"), ("read", "Read only")],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["app"].queryset = playground.choices(owner)  # type: ignore[attr-defined]  # set on the instance only

    @property
    def granted(self) -> frozenset[Scope]:
        app: ConnectedApp = self.cleaned_data["app"]
        return app.granted if self.cleaned_data["may"] == "same" else frozenset({Scope.READ})
