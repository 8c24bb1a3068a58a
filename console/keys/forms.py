from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from console.accounts.choice import Choice
from console.accounts.models import User
from console.connections.models import Connection
from console.onboarding import home
from console.scopes import WORDS, Scope, label

_DAYS = {"30": 30, "90": 90, "365": 365}
_READ, _TRADE = frozenset({Scope.READ}), frozenset({Scope.READ, Scope.TRADE})


class KeyForm(forms.Form):
    name = forms.CharField(label="Name", max_length=100, help_text="What will use the key, such as nightly-report.")
    connection = forms.ModelChoiceField(
        label="Connection", queryset=Connection.objects.none(), empty_label=None, widget=forms.RadioSelect
    )
    scope = forms.ChoiceField(
        label="What it may do",
        initial="read",
        widget=forms.RadioSelect,
        choices=[
            ("read", Choice(label(_READ), f"{WORDS[Scope.READ]} It cannot trade.")),
            ("trade", Choice(label(_TRADE), f"Also: {WORDS[Scope.TRADE][0].lower()}{WORDS[Scope.TRADE][1:]}")),
        ],
    )
    expiry = forms.ChoiceField(
        label="It works for",
        initial="90",
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Until you revoke it")],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = home.connections(owner)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only
        if len(choices := connections[:2]) == 1:
            self.fields["connection"].initial = choices[0].pk

    @property
    def granted(self) -> frozenset[Scope]:
        return _TRADE if self.cleaned_data["scope"] == "trade" else _READ

    @property
    def expires_at(self) -> datetime | None:
        days = _DAYS.get(self.cleaned_data["expiry"])
        return None if days is None else timezone.now() + timedelta(days=days)
