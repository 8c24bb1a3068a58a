from datetime import timedelta

from django import forms
from django.http import QueryDict

from console.accounts.models import User
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.recent_errors import queries

_STATES = {"open": "Open", "resolved": "Resolved", "muted": "Muted", "all": "All"}
_DAYS = {"1d": (1, "1 day"), "7d": (7, "7 days"), "30d": (30, "30 days")}
_CALLS = {"10": (10, "10 more calls"), "100": (100, "100 more calls"), "1000": (1000, "1,000 more calls")}


class ErrorsFilter(forms.Form):
    """The query string is the only filter state. A value that does not fit counts as left out."""

    use_required_attribute = False
    span = forms.ChoiceField(
        label="Time", required=False, choices=[(key, f"Last {words}") for key, (_, words) in queries.SPANS.items()]
    )
    state = forms.ChoiceField(label="State", required=False, choices=list(_STATES.items()))
    connection = forms.ModelChoiceField(
        label="Connection", required=False, queryset=Connection.objects.none(), empty_label="Any connection"
    )

    def __init__(self, data: QueryDict, *, owner: User, everyone: bool) -> None:
        super().__init__(data)
        own = Connection.objects.all() if everyone else connection_queries.open_connections(owner)
        self.fields["connection"].queryset = own.order_by("name")  # type: ignore[attr-defined]  # on the instance only
        self.is_valid()

    @property
    def span_key(self) -> str:
        return self.cleaned_data.get("span") or "12h"

    @property
    def span_length(self) -> timedelta:
        return queries.SPANS[self.span_key][0]

    @property
    def state_key(self) -> str:
        return self.cleaned_data.get("state") or "open"

    @property
    def connection_id(self) -> int | None:
        chosen = self.cleaned_data.get("connection")
        return chosen.pk if chosen else None


class MuteForm(forms.Form):
    until = forms.ChoiceField(
        label="Mute for",
        choices=[
            ("Time", [(key, words) for key, (_, words) in _DAYS.items()]),
            ("Calls", [(key, words) for key, (_, words) in _CALLS.items()]),
        ],
    )

    @property
    def time(self) -> timedelta | None:
        """None: it is counted in calls."""
        chosen = _DAYS.get(self.cleaned_data["until"])
        return None if chosen is None else timedelta(days=chosen[0])

    @property
    def calls(self) -> int:
        return _CALLS[self.cleaned_data["until"]][0]

    @property
    def words(self) -> str:
        """``7 days``."""
        key = self.cleaned_data["until"]
        return {**_DAYS, **_CALLS}[key][1]
