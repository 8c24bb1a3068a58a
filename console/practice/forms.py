from decimal import Decimal
from typing import Any

from django import forms

from brokers.paper import costs
from console.accounts.models import User
from console.accounts.text_validators import validate_line
from console.connections.models import Connection
from console.practice.services import KNOBS, PRESETS, ModelSettings

PRESET_ROWS: list[tuple[str, list[tuple[str, Decimal | None]]]] = [
    (
        knob.words,
        [
            (name.capitalize(), None if (value := getattr(preset, knob.field)) is None else value / knob.scale)
            for name, preset in costs.PRESETS.items()
        ],
    )
    for knob in KNOBS.values()
]
"""What each preset charges, knob by knob; None for no bound."""
_PRESETS = [(name, name.capitalize()) for name in PRESETS]


def _amount(**more: Any) -> forms.DecimalField:
    return forms.DecimalField(
        required=False,
        min_value=Decimal("0.01"),
        max_digits=15,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={"invalid": "Write the amount in digits, such as 100000.00."},
        **more,
    )


class AccountForm(forms.Form):
    use_required_attribute = False
    name = forms.CharField(
        label="Name", max_length=100, validators=[validate_line], widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    cash = _amount(
        label="Starting cash", help_text="Empty: the same as the copied account, or as the first account here."
    )
    preset = forms.ChoiceField(label="Fees and slippage", choices=_PRESETS)
    clone = forms.ModelChoiceField(
        label="Copy cash and positions from",
        required=False,
        queryset=Connection.objects.none(),
        empty_label="Nothing: start with cash only",
        help_text="Its current holdings. Instruments that the simulated market does not have are left out.",
    )

    def __init__(self, *args: Any, owner: User, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        same = Connection.objects.filter(owner=owner, closed_at=None, currency=currency).order_by("name")
        self.fields["clone"].queryset = same  # type: ignore[attr-defined]  # set on the instance only


class ResetForm(forms.Form):
    use_required_attribute = False
    cash = _amount(label="Starting cash", help_text="Empty: the original amount.")


class ModelForm(forms.Form):
    """The preset, and beside it every rate; a rate left empty is the preset's own."""

    use_required_attribute = False
    preset = forms.ChoiceField(label="Preset", choices=_PRESETS)
    margin = forms.BooleanField(label="Margin", required=False, help_text="It can borrow cash and sell short.")

    def __init__(self, *args: Any, terms: ModelSettings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {"preset": terms.preset, "margin": terms.margin, **terms.overrides}
        for name, knob in KNOBS.items():
            self.fields[name] = forms.DecimalField(
                label=knob.words,
                required=False,
                min_value=Decimal(0),
                max_value=knob.most,
                max_digits=12,
                decimal_places=6,
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            )

    @property
    def overrides(self) -> dict[str, Decimal]:
        return {name: self.cleaned_data[name] for name in KNOBS if self.cleaned_data.get(name) is not None}

    @property
    def rates(self) -> list[Any]:
        return [self[name] for name in KNOBS]
