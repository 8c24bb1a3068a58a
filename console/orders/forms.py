from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import QuerySet

from brokers.types import OrderType
from console.accounts.models import User
from console.accounts.text_validators import validate_line
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders import states
from console.orders.models import Order, OutsideOrder
from console.orders.owner.approvals import MAX_REASON_LENGTH, REASONS
from console.orders.states import STATUS_LABELS, Status
from console.orders.terms import TYPE_TEXT

if TYPE_CHECKING:
    _OfApps = forms.ModelChoiceField[ConnectedApp]
else:  # generic for the type checker only
    _OfApps = forms.ModelChoiceField

OPEN = "open"
"""Whatever may still fill, in one word of the query string."""


class AppChoiceField(_OfApps):
    """Apps often share a name: the connection tells them apart."""

    def label_from_instance(self, obj: ConnectedApp) -> str:
        return f"{'You, in the console' if obj.is_console else obj.name}, {obj.connection.name}"


class OrderFilter(forms.Form):
    """The query string is the only filter state. A value that does not fit is named and left out."""

    use_required_attribute = False
    connection = forms.ModelChoiceField(
        label="Connection", required=False, queryset=Connection.objects.none(), empty_label="Any"
    )
    app = AppChoiceField(label="App", required=False, queryset=ConnectedApp.objects.none(), empty_label="Any")
    symbol = forms.CharField(label="Symbol", required=False, max_length=40, validators=[validate_line])
    side = forms.ChoiceField(label="Side", required=False, choices=[("", "Any"), ("BUY", "Buy"), ("SELL", "Sell")])
    type = forms.ChoiceField(
        label="Type", required=False, choices=[("", "Any"), *((each.value, TYPE_TEXT[each]) for each in OrderType)]
    )
    status = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any"), (OPEN, "Working"), *((s.value, STATUS_LABELS[s]) for s in Status)],
    )
    start = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = Connection.objects.filter(owner=owner).order_by("name")
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only
        apps = ConnectedApp.objects.filter(owner=owner, orders__isnull=False).distinct().select_related("connection")
        self.fields["app"].queryset = apps.order_by("name", "pk")  # type: ignore[attr-defined]  # set on the instance

    def clean(self) -> dict[str, Any]:
        asked: dict[str, Any] = super().clean() or self.cleaned_data
        if asked.get("start") and asked.get("end") and asked["start"] > asked["end"]:
            self.add_error("end", "This day is before the first one.")
        return asked

    @property
    def is_active(self) -> bool:
        return any(self.cleaned_data.values())

    def apply(self, orders: QuerySet[Order]) -> QuerySet[Order]:
        """Days are UTC days; both are included."""
        self.is_valid()
        asked = self.cleaned_data
        for name in ("connection", "app", "side"):
            if value := asked.get(name):
                orders = orders.filter(**{name: value})
        if symbol := asked.get("symbol"):
            orders = orders.filter(symbol__icontains=symbol.strip())
        if order_type := asked.get("type"):
            orders = orders.filter(order_type=order_type)
        if status := asked.get("status"):
            orders = orders.filter(status__in=states.OPEN) if status == OPEN else orders.filter(status=status)
        if start := asked.get("start"):
            orders = orders.filter(created_at__gte=_midnight(start))
        if end := asked.get("end"):
            orders = orders.filter(created_at__lt=_midnight(end) + timedelta(days=1))
        return orders

    def apply_elsewhere(self, orders: QuerySet[OutsideOrder]) -> QuerySet[OutsideOrder]:
        """Orders made elsewhere are in other hands: they have no app, and no status of ours but that they are open."""
        self.is_valid()
        asked = self.cleaned_data
        if asked.get("app") or asked.get("start") or asked.get("end"):
            return orders.none()
        for name in ("connection", "side"):
            if value := asked.get(name):
                orders = orders.filter(**{name: value})
        if symbol := asked.get("symbol"):
            orders = orders.filter(symbol__icontains=symbol.strip())
        if order_type := asked.get("type"):
            orders = orders.filter(order_type=order_type)
        if (status := asked.get("status")) and status != OPEN:
            orders = orders.filter(status=status)
        return orders


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class RejectForm(forms.Form):
    """Why not. The app that asked is told, so that it does not ask the same again."""

    use_required_attribute = False
    reason = forms.ChoiceField(
        label="Reason", choices=[(name, words or "No particular reason") for name, words in REASONS.items()]
    )
    words = forms.CharField(
        label="In your own words",
        required=False,
        max_length=MAX_REASON_LENGTH,
        validators=[validate_line],
        help_text="Optional. The assistant will see this.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
