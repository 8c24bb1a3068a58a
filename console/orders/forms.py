from typing import Any

from django import forms
from django.db.models import QuerySet

from console.accounts.models import User
from console.accounts.text_validators import validate_line
from console.connections.models import Connection
from console.orders.models import Order, OutsideOrder
from console.orders.owner.approvals import MAX_REASON_LENGTH, REASONS
from console.orders.states import STATUS_LABELS, Status


class OrderFilter(forms.Form):
    use_required_attribute = False
    connection = forms.ModelChoiceField(
        label="Connection", required=False, queryset=Connection.objects.none(), empty_label="Any"
    )
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "Any"), *((s.value, STATUS_LABELS[s]) for s in Status)]
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = Connection.objects.filter(owner=owner).order_by("name")
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only

    @property
    def is_active(self) -> bool:
        return any(self.cleaned_data.values())

    def apply(self, orders: QuerySet[Order]) -> QuerySet[Order]:
        self.is_valid()
        if connection := self.cleaned_data.get("connection"):
            orders = orders.filter(connection=connection)
        if status := self.cleaned_data.get("status"):
            orders = orders.filter(status=status)
        return orders

    def apply_elsewhere(self, orders: QuerySet[OutsideOrder]) -> QuerySet[OutsideOrder]:
        """Orders made elsewhere are in other hands: they have no status of ours but that they are open."""
        self.is_valid()
        if connection := self.cleaned_data.get("connection"):
            orders = orders.filter(connection=connection)
        if status := self.cleaned_data.get("status"):
            orders = orders.filter(status=status)
        return orders


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
