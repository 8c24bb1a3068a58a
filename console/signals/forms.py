from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from brokers.types import Side
from console.accounts.forms import LabeledChoice
from console.accounts.models import User
from console.accounts.text_validators import validate_program_name
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.keys import ip_allow_list
from console.signals import mapping
from console.signals.addresses import AddressTerms
from console.signals.mapping import Template, TextForm
from console.signals.models import SenderProof
from console.signals.senders import TRADINGVIEW

SECRET = "secret"  # noqa: S105  the name of a value
_SIDES = {"both": frozenset(Side), "buy": frozenset({Side.BUY}), "sell": frozenset({Side.SELL})}
_NAMES = ("symbol", "side", "quantity", "price", "time", "id")
_RATES = ("per_minute", "oldest", "same_after")
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def _name(label: str, help_text: str = "", *, initial: str = "", required: bool = False) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=mapping.LONGEST_NAME,
        required=required,
        initial=initial,
        help_text=help_text,
        widget=forms.TextInput(attrs=_PLAIN),
    )


class AddressForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_program_name],
        help_text="What sends the signals, such as my-tradingview-strategy. Orders carry this name.",
    )
    connection = forms.ModelChoiceField(
        label="Connection", queryset=Connection.objects.none(), empty_label=None, widget=forms.RadioSelect
    )
    instruments = forms.CharField(
        label="Instruments",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3, **_PLAIN}),
        help_text="One per line. If the sender has another name for one, write both: NASDAQ:AAPL = AAPL.",
    )
    sides = forms.ChoiceField(
        label="Sides", choices=[("both", "Buy and sell"), ("buy", "Only buy"), ("sell", "Only sell")]
    )
    most_value = forms.DecimalField(
        label="Most value of one order",
        max_digits=20,
        decimal_places=2,
        min_value=Decimal("0.01"),
        help_text="In the connection's currency. A larger order is refused.",
    )
    proof = forms.ChoiceField(
        label="How the sender proves who it is",
        initial=SenderProof.BODY.value,
        widget=forms.RadioSelect,
        choices=[
            (
                SenderProof.BODY.value,
                LabeledChoice("A secret in the text", "For TradingView and others that cannot sign."),
            ),
            (
                SenderProof.SIGNATURE.value,
                LabeledChoice("A signature", "HMAC-SHA256, as Standard Webhooks says or in X-Signature-256. Safer."),
            ),
        ],
    )
    tradingview = forms.BooleanField(label="Only from TradingView's addresses", required=False, initial=True)
    networks = forms.CharField(
        label="Only from these addresses (optional)",
        max_length=2500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, **_PLAIN}),
        help_text="Such as 203.0.113.7 or 203.0.113.0/24, one per line. With none of either: from anywhere.",
    )
    form = forms.ChoiceField(
        label="The text is",
        choices=[(TextForm.JSON.value, "JSON"), (TextForm.PAIRS.value, "name=value pairs")],
    )
    symbol = _name("Name of the symbol", initial="symbol", required=True)
    side = _name("Name of the side", "Its value is buy or sell.", initial="side", required=True)
    quantity = _name("Name of the quantity", "Empty where the quantity is fixed.", initial="quantity")
    fixed_quantity = forms.DecimalField(
        label="Fixed quantity (optional)",
        required=False,
        max_digits=30,
        decimal_places=12,
        min_value=0,
        help_text="Then each order has this quantity.",
    )
    price = _name("Name of the limit price (optional)", "Empty: market orders.")
    time = _name("Name of the time (optional)", "When it was sent: ISO 8601 or seconds since 1970.", initial="time")
    id = _name("Name of the id (optional)", "The same id is taken once. Empty: the same text is taken once.")
    per_minute = forms.IntegerField(label="Signals a minute", min_value=1, max_value=60, initial=6)
    oldest = forms.ChoiceField(
        label="Too old after",
        initial="60",
        choices=[("15", "15 s"), ("60", "60 s"), ("300", "5 minutes"), ("900", "15 minutes")],
        help_text="By the time in the text or in its signature.",
    )
    same_after = forms.ChoiceField(
        label="The same text is new after",
        initial="300",
        choices=[("60", "1 minute"), ("300", "5 minutes"), ("3600", "1 hour"), ("86400", "1 day")],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = connection_queries.open_connections(owner)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]  # set on the instance only
        if len(choices := connections[:2]) == 1:
            self.fields["connection"].initial = choices[0].pk

    def clean_networks(self) -> list[str]:
        try:
            return ip_allow_list.parse(self.cleaned_data["networks"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error

    def clean_instruments(self) -> dict[str, str]:
        try:
            found = mapping.instruments_of(self.cleaned_data["instruments"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error
        if not found:
            raise ValidationError("Write at least one instrument.", code="required")
        return found

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        names = {name: self.cleaned_data.get(name, "").strip() for name in _NAMES}
        for name, value in names.items():
            if value and not mapping.is_name(value):
                self.add_error(name, "A name has up to 30 letters, digits, _ and -. Points lead into objects of JSON.")
            elif value and (value == SECRET or list(names.values()).count(value) > 1):
                self.add_error(name, f"{value} is the name of another value.")
        if not self.errors.get("fixed_quantity") and bool(names["quantity"]) == bool(
            self.cleaned_data.get("fixed_quantity")
        ):
            self.add_error("quantity", "Give either the name of the quantity or a fixed quantity.")
        return cleaned

    @property
    def has_folded_errors(self) -> bool:
        """Among what the page folds away until somebody opens it."""
        return not self.errors.keys().isdisjoint((*_NAMES, "form", "fixed_quantity", *_RATES))

    @property
    def wanted(self) -> AddressTerms:
        told = self.cleaned_data
        proof = SenderProof(told["proof"])
        fixed = None if told["quantity"].strip() else told["fixed_quantity"]
        template = Template(
            form=TextForm(told["form"]),
            **{name: told[name].strip() for name in _NAMES},
            fixed_quantity=fixed,
            secret=SECRET if proof == SenderProof.BODY else "",
            instruments=told["instruments"],
            sides=_SIDES[told["sides"]],
        )
        preset = TRADINGVIEW if told["tradingview"] else ()
        return AddressTerms(
            name=told["name"],
            proof=proof,
            template=template,
            most_value=told["most_value"],
            networks=list(dict.fromkeys([*preset, *told["networks"]])),
            per_minute=told["per_minute"],
            same_after=int(told["same_after"]),
            oldest=int(told["oldest"]),
        )
