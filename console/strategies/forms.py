from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from django import forms

from console.accounts.models import User
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.strategies import services
from console.strategies.engine.rules import LONGEST
from console.strategies.services import Asked

_COSTS = [(name, name.capitalize()) for name in services.PRESETS]


class BacktestForm(forms.Form):
    use_required_attribute = False
    connection = forms.ModelChoiceField(
        queryset=Connection.objects.none(), empty_label=None, help_text="Whose broker has the past prices."
    )
    start = forms.DateField(
        label="From",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=f"UTC. Empty: {services.USUAL_BARS:,} bars before the end.",
    )
    end = forms.DateField(
        label="Before",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="UTC. Empty: until now.",
    )
    cash = forms.DecimalField(
        label="Starting cash",
        min_value=services.LEAST_CASH,
        max_value=services.MOST_CASH,
        max_digits=15,
        decimal_places=2,
        initial=Decimal(100_000),
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    costs = forms.ChoiceField(
        label="Fees and slippage", choices=_COSTS, help_text="As on practice accounts; orders always fill whole."
    )
    rules = forms.CharField(
        label="Rules (JSON)",
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "autocomplete": "off", "class": "mono"}),
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["connection"].queryset = connection_queries.open_connections(owner)  # type: ignore[attr-defined]

    @property
    def asked(self) -> Asked:
        given = self.cleaned_data
        return Asked(
            rules=given["rules"],
            starts_at=_midnight(given["start"]),
            ends_at=_midnight(given["end"]),
            cash=given["cash"],
            preset=given["costs"],
        )


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
