from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone

from console import untrusted_text
from console.accounts.forms import LabeledChoice
from console.accounts.models import User
from console.accounts.text_validators import validate_line, validate_program_name
from console.connected_apps.forms import MOST_CALLS
from console.connected_apps.grants import AppRestrictions
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.keys import ip_allow_list
from console.keys.minting import LONGEST_WAIT
from console.keys.models import ApiKey
from console.limits import Limits
from console.scopes import Scope, describe, label
from console.toolsets import ALWAYS, LABELS, ON_BY_DEFAULT, Toolset, stored

_DAYS = {"30": 30, "90": 90, "365": 365}
_READ, _TRADE = frozenset({Scope.READ}), frozenset({Scope.READ, Scope.TRADE})
_TRADE_WORDS = describe(Scope.TRADE)


class SecretForm(forms.Form):
    """What every new secret is asked for."""

    expiry = forms.ChoiceField(
        label="It works for",
        initial="90",
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Until you revoke it")],
    )
    never_reason = forms.CharField(
        label="Why it never ends",
        max_length=200,
        required=False,
        validators=[validate_line],
        help_text="Required for a key that works until you revoke it.",
    )
    note = forms.CharField(
        label="Note (optional)",
        max_length=200,
        required=False,
        validators=[validate_line],
        help_text="For your own reference: where it is stored, who requested it.",
    )
    networks = forms.CharField(
        label="Only from these addresses (optional)",
        max_length=2500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "autocomplete": "off"}),
        help_text="Such as 203.0.113.7 or 203.0.113.0/24, one per line. Empty: from anywhere.",
    )

    def clean_networks(self) -> list[str]:
        try:
            return ip_allow_list.parse(self.cleaned_data["networks"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.cleaned_data.get("expiry") == "never" and not self.cleaned_data.get("never_reason", "").strip():
            self.add_error("never_reason", "Write why this key must never end, or choose when it ends.")
        return cleaned

    @property
    def expires_at(self) -> datetime | None:
        days = _DAYS.get(self.cleaned_data["expiry"])
        return None if days is None else timezone.now() + timedelta(days=days)


class KeyForm(SecretForm):
    name = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_program_name],
        help_text="What will use the key, such as nightly-report.",
    )
    connection = forms.ModelChoiceField(
        label="Connection", queryset=Connection.objects.none(), empty_label=None, widget=forms.RadioSelect
    )
    scope = forms.ChoiceField(
        label="Access",
        initial="read",
        widget=forms.RadioSelect,
        choices=[
            ("read", LabeledChoice(label(_READ), f"{describe(Scope.READ)} It cannot trade.")),
            ("trade", LabeledChoice(label(_TRADE), f"Also: {_TRADE_WORDS[0].lower()}{_TRADE_WORDS[1:]}")),
        ],
    )

    calls_per_minute = forms.IntegerField(
        label="Calls a minute (optional)",
        required=False,
        min_value=1,
        max_value=MOST_CALLS,
        help_text="Empty: as many as you may make with all apps together. Cancels are not counted.",
    )
    orders_per_minute = forms.IntegerField(
        label="Orders a minute (optional)",
        required=False,
        min_value=1,
        max_value=1000,
        help_text="For a key that trades, on top of the connection's limits.",
    )
    toolsets = forms.MultipleChoiceField(
        label="Tools",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(each.value, LabeledChoice(*LABELS[each])) for each in Toolset if each is not ALWAYS],
        initial=[each.value for each in Toolset if each in ON_BY_DEFAULT and each is not ALWAYS],
    )
    chooses_tools = forms.BooleanField(required=False, widget=forms.HiddenInput, initial=True)
    """Sent with the boxes: without it, none of them was on the page, and the tools are those of the default."""

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = connection_queries.open_connections(owner)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only
        if len(choices := connections[:2]) == 1:
            self.fields["connection"].initial = choices[0].pk

    @property
    def granted(self) -> frozenset[Scope]:
        return _TRADE if self.cleaned_data["scope"] == "trade" else _READ

    @property
    def start(self) -> AppRestrictions:
        """What the new app is bound by from its first call."""
        on = {ALWAYS, *map(Toolset, self.cleaned_data["toolsets"])}
        return AppRestrictions(
            limits=Limits(orders_per_minute=self.cleaned_data["orders_per_minute"]),
            toolsets=stored(on) if self.cleaned_data["chooses_tools"] else None,
            calls_per_minute=self.cleaned_data["calls_per_minute"],
        )


class ManagementKeyForm(SecretForm):
    name = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_program_name],
        help_text="What will use the key, such as terraform.",
    )
    makes_trade_keys = forms.BooleanField(
        label="It can create keys that trade",
        required=False,
        help_text="Anyone who has it can then create keys that trade on any of your connections, within the limits of "
        "the apps there. Otherwise it creates keys that read. The keys it creates end when it ends.",
    )


class RotateForm(SecretForm):
    overlap = forms.ChoiceField(
        label="The old key",
        initial="24h",
        widget=forms.RadioSelect,
        choices=[
            ("now", LabeledChoice("Stops now", "Anything still using it is refused from its next call.")),
            ("1h", LabeledChoice("Works for 1 hour after the new key is first used", "")),
            ("24h", LabeledChoice("Works for 24 hours after the new key is first used", "")),
            (
                "7d",
                LabeledChoice(
                    "Works for 7 days after the new key is first used",
                    f"If the new key is not used, the old one ends {LONGEST_WAIT.days} days later than that. "
                    "You can end it at any time.",
                ),
            ),
        ],
    )

    def __init__(self, data: QueryDict | None, *, key: ApiKey) -> None:
        super().__init__(data, initial={"note": key.note, "networks": "\n".join(key.networks)})
        self.fields["expiry"].label = "The new key works for"

    @property
    def grace(self) -> timedelta:
        spans = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
        return spans.get(self.cleaned_data["overlap"], timedelta())


class RevokeForm(forms.Form):
    """Both may be left out: nothing stands between a person and the end of a key."""

    reason = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=[
            ("", "Not stated"),
            ("No longer needed", "No longer needed"),
            ("It may have leaked", "It may have leaked"),
            ("Moved to another key", "Moved to another key"),
            ("It did something unexpected", "It did something unexpected"),
        ],
    )
    note = forms.CharField(label="Note (optional)", max_length=150, required=False)

    @property
    def text(self) -> str:
        """Also of a form that does not fit: what can be read of it."""
        self.is_valid()
        parts = (self.cleaned_data.get("reason"), self.cleaned_data.get("note", "").strip())
        return untrusted_text.escape_hidden(". ".join(part for part in parts if part))


class LeakedForm(forms.Form):
    # A password field is never filled again by Django, whatever happened, and browsers keep no history of it.
    pasted = forms.CharField(
        label="The key, or its SHA-256",
        max_length=2000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"max_length": "That is too long for a key. Paste only the key."},
    )
