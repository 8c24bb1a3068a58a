from collections.abc import Mapping
from typing import Any

from django import forms

from console.accounts import time_zones
from console.accounts.text_validators import validate_line


class AppForm(forms.Form):
    code = forms.CharField(
        label="Code currently shown in the app",
        max_length=12,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class TimeZoneForm(forms.Form):
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="Times on pages are in this zone, with UTC beside them. Limits and reports count UTC days.",
    )

    def __init__(self, current: str, data: Mapping[str, Any] | None) -> None:
        super().__init__(data, initial={"time_zone": current or "UTC"})
        names = time_zones.names()
        if current and current not in names:
            names = (*names, current)
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name.replace("_", " ")) for name in names]


class PasskeyForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=60,
        initial="This computer",
        validators=[validate_line],
        help_text="Helps you tell your passkeys apart.",
    )
    credential = forms.CharField(widget=forms.HiddenInput, required=False)
