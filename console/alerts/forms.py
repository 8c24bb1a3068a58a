from typing import Any

from django import forms

from brokers.types import LONGEST_SYMBOL
from console.accounts.models import User
from console.alerts import services
from console.alerts.models import AlertKind, Condition
from console.alerts.terms import BARS, WINDOWS
from console.connections import queries as connection_queries
from console.connections.models import Connection

_DAYS = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))


class AlertForm(forms.Form):
    """As an alert is asked for over REST; what does not belong to the kind stays empty."""

    connection = forms.ModelChoiceField(queryset=Connection.objects.none(), empty_label=None)
    kind = forms.ChoiceField(label="What it watches", choices=AlertKind.choices)
    symbol = forms.CharField(
        label="Symbol", required=False, max_length=LONGEST_SYMBOL, help_text="Of prices, indicators and positions."
    )
    condition = forms.ChoiceField(label="Condition", choices=Condition.choices, help_text="A connection has none.")
    value = forms.DecimalField(label="Value", required=False, max_digits=30, decimal_places=12)
    percent = forms.BooleanField(label="In percent", required=False, help_text="Of a spread or a profit.")
    window = forms.ChoiceField(
        label="Over", required=False, choices=[("", "Only of a change"), *((each, each) for each in WINDOWS)]
    )
    indicator = forms.CharField(
        label="Indicator", required=False, max_length=60, help_text="Such as RSI(14), EMA(20), MACD.histogram or PRICE."
    )
    against = forms.CharField(
        label="Compared with", required=False, max_length=60, help_text="Another indicator, in place of the value."
    )
    bar = forms.ChoiceField(label="Bars", required=False, choices=[("", "1d"), *((each, each) for each in BARS[:-1])])
    repeats = forms.BooleanField(label="Notify me every time", required=False, help_text="Otherwise once.")
    cooldown_minutes = forms.IntegerField(
        label="At most every so many minutes",
        min_value=services.LEAST_COOLDOWN,
        max_value=services.LONGEST_COOLDOWN,
        initial=services.USUAL_COOLDOWN,
    )
    days = forms.TypedChoiceField(label="Ends after", choices=_DAYS, coerce=int, initial=30)
    note = forms.CharField(label="Note (optional)", required=False, max_length=services.LONGEST_NOTE)

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["connection"].queryset = connection_queries.open_connections(owner)  # type: ignore[attr-defined]

    @property
    def given(self) -> dict[str, Any]:
        """What was filled in, by the names ``intake.create`` takes."""
        fixed = {"connection", "days"}
        if self.cleaned_data["kind"] == AlertKind.CONNECTION:
            fixed.add("condition")  # a list always has one chosen
        asked = {
            name: value
            for name, value in self.cleaned_data.items()
            if name not in fixed and value not in ("", None, False)
        }
        return asked | {"expires_at": services.in_days(self.cleaned_data["days"])}
