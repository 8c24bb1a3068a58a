import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet

from brokers.types import OrderType, Side
from console.accounts.models import User
from console.accounts.text_validators import validate_line
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Refusal
from console.orders import states
from console.orders.models import Order, OutsideOrder
from console.orders.owner import standing_rules
from console.orders.owner.approvals import MAX_REASON_LENGTH, REASONS
from console.orders.owner.standing_rules import RuleTerms
from console.orders.states import STATUS_LABELS, Status
from console.orders.terms import TYPE_TEXT

if TYPE_CHECKING:
    _OfApps = forms.ModelChoiceField[ConnectedApp]
else:  # generic for the type checker only
    _OfApps = forms.ModelChoiceField

_AnyOrder = TypeVar("_AnyOrder", Order, OutsideOrder)

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
        made_orders = Exists(Order.objects.filter(app=OuterRef("pk")))
        apps = ConnectedApp.objects.filter(made_orders, owner=owner).select_related("connection")
        self.fields["app"].queryset = apps.order_by("name", "pk")  # type: ignore[attr-defined]  # set on the instance

    def clean_symbol(self) -> str:
        symbol: str = self.cleaned_data["symbol"].strip()
        if "*" in symbol and (symbol.index("*") != len(symbol) - 1 or symbol == "*"):
            raise forms.ValidationError("* can stand once, at the end, after at least one character: BTC*")
        return symbol

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
        asked, orders = self.cleaned_data, self._by_terms(orders)
        if app := asked.get("app"):
            orders = orders.filter(app=app)
        if status := asked.get("status"):
            orders = orders.filter(status__in=states.OPEN) if status == OPEN else orders.filter(status=status)
        if start := asked.get("start"):
            orders = orders.filter(created_at__gte=_midnight(start))
        if (end := asked.get("end")) and end < date.max:  # after which there is no day
            orders = orders.filter(created_at__lt=_midnight(end) + timedelta(days=1))
        return orders

    def apply_elsewhere(self, orders: QuerySet[OutsideOrder]) -> QuerySet[OutsideOrder]:
        """Orders made elsewhere are in other hands: they have no app, and no status of ours but that they are open."""
        self.is_valid()
        asked = self.cleaned_data
        if asked.get("app") or asked.get("start") or asked.get("end"):
            return orders.none()
        orders = self._by_terms(orders)
        if (status := asked.get("status")) and status != OPEN:
            orders = orders.filter(status=status)
        return orders

    def _by_terms(self, orders: QuerySet[_AnyOrder]) -> QuerySet[_AnyOrder]:
        """By what every order has: its connection, side, symbol and type."""
        asked = self.cleaned_data
        for name in ("connection", "side"):
            if value := asked.get(name):
                orders = orders.filter(**{name: value})
        if symbol := asked.get("symbol"):
            beginning = symbol.strip().removesuffix("*")
            lookup = "symbol__icontains" if beginning == symbol.strip() else "symbol__istartswith"
            orders = orders.filter(**{lookup: beginning})
        if order_type := asked.get("type"):
            orders = orders.filter(order_type=order_type)
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


def _time_zone(name: str) -> None:
    """Raises ValidationError."""
    if name not in available_timezones():
        raise ValidationError("Write a time zone such as Europe/Zurich, America/New_York or UTC.", code="invalid")


class RuleForm(forms.Form):
    """A standing rule of a connection. Everything that allows more has to be typed or ticked."""

    use_required_attribute = False
    name = forms.CharField(
        label="Name", max_length=40, validators=[validate_line], help_text="Shown on every order it releases."
    )
    app = forms.ModelChoiceField(
        label="App",
        required=False,
        queryset=ConnectedApp.objects.none(),
        empty_label="Any app that you let trade",
        help_text="A rule for one app ends with its access. Any app: but none that a management key created.",
    )
    symbols = forms.CharField(
        label="Symbols",
        max_length=1000,
        help_text=f"Up to {standing_rules.MOST_SYMBOLS}, with commas between. It releases orders in no others.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    sides = forms.MultipleChoiceField(
        label="Sides",
        choices=[(Side.BUY.value, "Buy"), (Side.SELL.value, "Sell")],
        widget=forms.CheckboxSelectMultiple,
        help_text="Selling can also open a short position, where the broker allows it.",
    )
    order_types = forms.MultipleChoiceField(
        label="Order types",
        choices=[(kind.value, name.capitalize()) for kind, name in standing_rules.TYPE_NAMES.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text="A market order fills at whatever the market then is, within your limits.",
    )
    order_value = forms.DecimalField(label="Value of one order", max_digits=20, decimal_places=8)
    day_value = forms.DecimalField(
        label="Value of a day",
        max_digits=20,
        decimal_places=8,
        help_text="Each counts with its maximum value, even if it is cancelled or fills only in part.",
    )
    orders_a_day = forms.IntegerField(label="Orders in a day", min_value=1, max_value=standing_rules.MOST_A_DAY)
    weekdays = forms.TypedMultipleChoiceField(
        label="Weekdays",
        coerce=int,
        choices=list(enumerate(standing_rules.DAY_NAMES)),
        widget=forms.CheckboxSelectMultiple,
        help_text="Of a time over midnight, the day on which it begins.",
    )
    starts = forms.TimeField(
        label="From", required=False, widget=forms.TimeInput({"type": "time"}), help_text="Empty: all day."
    )
    ends = forms.TimeField(label="To", required=False, widget=forms.TimeInput({"type": "time"}))
    time_zone = forms.CharField(
        label="Time zone",
        max_length=40,
        validators=[_time_zone],
        help_text="For the hours, the weekdays and what a day is. Such as America/New_York.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "list": "time-zones"}),
    )
    last_day = forms.DateField(
        label="Last day",
        widget=forms.DateInput({"type": "date"}),
        help_text=f"At most {standing_rules.LONGEST.days} days ahead.",
    )

    def __init__(self, data: Any = None, *, connection: Connection, apps: QuerySet[ConnectedApp]) -> None:
        initial = {"weekdays": [0, 1, 2, 3, 4], "time_zone": "UTC"}
        super().__init__(data, initial=initial)
        self.fields["app"].queryset = apps  # type: ignore[attr-defined]  # set on the instance only
        for name in ("order_value", "day_value"):
            self.fields[name].label = f"{self.fields[name].label} ({connection.currency})"
            self.fields[name].widget.attrs["step"] = "any"

    @property
    def terms(self) -> RuleTerms:
        """Once it is valid."""
        given = self.cleaned_data
        symbols = [part for part in re.split(r"[,;\s]+", given["symbols"]) if part]
        return RuleTerms(
            **{name: given[name] for name in ("name", "app", "order_value", "day_value", "orders_a_day")},
            **{name: given[name] for name in ("starts", "ends", "time_zone", "last_day")},
            symbols=tuple(symbols),
            sides=tuple(Side(each) for each in given["sides"]),
            order_types=tuple(OrderType(each) for each in given["order_types"]),
            weekdays=tuple(sorted(given["weekdays"])),
        )

    @property
    def ticks(self) -> list[forms.BoundField]:
        return [self["sides"], self["order_types"]]

    def refuse(self, refusal: Refusal) -> None:
        """Say why not, beside the field that it is about."""
        self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
