from typing import Any

from django import forms
from django.db.models import QuerySet

from console.accounts.models import User
from console.accounts.text_validators import validate_line, validate_lines
from console.connections.models import Connection
from console.journal import notes
from console.journal import queries as journal_queries
from console.journal.models import RoundTrip

RESULTS: dict[str, dict[str, Any]] = {"open": {"closed_at": None}, "won": {"won": True}, "lost": {"won": False}}


class JournalFilter(forms.Form):
    """The query string is the only filter state. A value that does not fit is left out."""

    use_required_attribute = False
    connection = forms.ModelChoiceField(
        label="Connection", required=False, queryset=Connection.objects.none(), empty_label="Any"
    )
    symbol = forms.CharField(label="Symbol", required=False, max_length=40)
    result = forms.ChoiceField(
        label="Result", required=False, choices=[("", "Any"), ("won", "Won"), ("lost", "Lost"), ("open", "Still open")]
    )
    start = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="Before", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = Connection.objects.filter(owner=owner, closed_at=None).order_by("name")
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only

    @property
    def is_active(self) -> bool:
        return any(self.cleaned_data.values())

    def chosen(self, connections: list[int]) -> list[int]:
        """Which of them can have a trip that fits."""
        self.is_valid()
        asked = self.cleaned_data.get("connection")
        return connections if asked is None else [asked.pk]

    @property
    def whole_symbol(self) -> str | None:
        """The symbol, else "", where nothing narrows it further but the connection; else None."""
        self.is_valid()
        asked = self.cleaned_data
        if any(asked.get(name) for name in ("result", "start", "end")):
            return None
        return str(asked.get("symbol") or "").strip()

    def apply(self, found: QuerySet[RoundTrip]) -> QuerySet[RoundTrip]:
        self.is_valid()
        asked = self.cleaned_data
        if connection := asked.get("connection"):
            found = found.filter(connection=connection)
        if symbol := asked.get("symbol"):
            connections = self.fields["connection"].queryset  # type: ignore[attr-defined]  # as above
            found = journal_queries.of_symbol(found, self.chosen([each.pk for each in connections]), symbol.strip())
        if result := asked.get("result"):
            found = found.filter(**RESULTS[result])
        if start := asked.get("start"):
            found = found.filter(opened_at__date__gte=start)
        if end := asked.get("end"):
            found = found.filter(opened_at__date__lt=end)
        return found


class NoteForm(forms.Form):
    use_required_attribute = False
    text = forms.CharField(
        label="Note",
        max_length=notes.LONGEST,
        validators=[validate_lines],
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write something first."},
    )
    tags = forms.CharField(
        label="Tags",
        required=False,
        max_length=200,
        validators=[validate_line],
        help_text="Separated by commas, such as breakout, too early.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
