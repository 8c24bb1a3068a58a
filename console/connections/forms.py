import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms

from brokers.decimals import plain
from brokers.market_calendars import EXCHANGES
from brokers.types import AssetClass, Environment, OrderType
from console import limits
from console.accounts.forms import LabeledChoice
from console.accounts.text_validators import validate_line
from console.connections import paper_linking as paper_connections
from console.connections.gateways import UnknownCertificate
from console.connections.link_specs import LinkField, LinkSpec
from console.errors import Refusal
from console.limits import AMOUNTS, LIVE_NEEDS, TITLES, Limits

_FILLS = [
    ("standard", LabeledChoice("Standard", "Coins 0.25%; shares 0.005 each, at least 1.00 per order. No slippage.")),
    ("frictionless", LabeledChoice("Frictionless", "No fees and no slippage.")),
    (
        "realistic",
        LabeledChoice("Realistic", "Fees, 0.02% slippage, 200 ms latency, at most 10% of a minute's volume."),
    ),
    ("thin", LabeledChoice("Thin market", "Higher fees, 0.1% slippage, and at most 2% of a minute's volume.")),
]


class PaperConnectionForm(forms.Form):
    """What is left out of how it trades is as it always was."""

    name = forms.CharField(
        label="Name",
        max_length=60,
        initial="Practice",
        validators=[validate_line],
        help_text="The name you and your assistants will see.",
    )
    starting_cash = forms.DecimalField(
        label="Starting cash",
        min_value=Decimal(1),
        max_value=Decimal(1_000_000_000),
        max_digits=12,
        decimal_places=2,
        initial=Decimal("100000.00"),
        help_text="Simulated money, from 1 to 1,000,000,000.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={
            "invalid": "Write the amount in digits, such as 100000.00.",
            "min_value": "Start with at least 1.00.",
            "max_value": "Start with at most 1,000,000,000.00.",
            "max_decimal_places": "Use at most 2 decimals.",
        },
    )
    currency = forms.ChoiceField(label="Currency", choices=[(code, code) for code in ("USD", "EUR", "GBP")])
    hours = forms.ChoiceField(
        label="Market hours",
        initial="always",
        widget=forms.RadioSelect,
        choices=[
            (
                "always",
                LabeledChoice("Open at all hours", "Orders can fill at any time. Good for trying things out."),
            ),
            (
                "venue",
                LabeledChoice("Follow exchange hours", "Orders fill only while the real exchange would be open."),
            ),
        ],
    )
    prices = forms.ChoiceField(
        label="Prices",
        required=False,
        choices=[
            ("", "Recorded and simulated"),
            *((venue, f"Live from {title}") for venue, title in paper_connections.PRICES.items()),
        ],
        help_text="Recorded and simulated: stocks, funds and BTC/USD. Live: coins at public prices, which need "
        "internet access but no key."
        " Either way, no order leaves Tradelatch.",
    )
    kind = forms.ChoiceField(
        label="Account",
        required=False,
        initial="cash",
        widget=forms.RadioSelect,
        choices=[
            (
                "cash",
                LabeledChoice("Cash", "Buys with available cash and sells what it holds. Required for live prices."),
            ),
            (
                "margin",
                LabeledChoice("Margin", "Holds up to twice its equity in stocks, can sell short, and pays to borrow."),
            ),
        ],
    )
    preset = forms.ChoiceField(
        label="Fees and fills",
        required=False,
        initial="standard",
        widget=forms.RadioSelect,
        choices=_FILLS,
    )
    settlement_days = forms.ChoiceField(
        label="Proceeds of sold stocks",
        required=False,
        initial=0,
        choices=[
            (0, "Available immediately"),
            (1, "After 1 business day, as at US brokers"),
            (2, "After 2 business days"),
        ],
        help_text="For a cash account. Coins settle immediately.",
    )
    trading_enabled = forms.BooleanField(
        label="Allow trading",
        help_text="Apps with permission to trade can place orders here. Each is confirmed first.",
        required=False,
        initial=True,
    )
    with_key = forms.BooleanField(
        label="Create a key that reads",
        help_text="For a script: it cannot trade and ends after 90 days. Assistants sign in without a key.",
        required=False,
        initial=True,
    )

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or "cash"

    def clean_preset(self) -> str:
        return self.cleaned_data["preset"] or "standard"

    def clean_settlement_days(self) -> int:
        return int(self.cleaned_data["settlement_days"] or 0)


class _WriteOnly(forms.PasswordInput):
    """Never shows what was typed before, not even on a form that comes back with an error."""

    def __init__(self, lines: int = 1) -> None:
        super().__init__(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"})
        if lines > 1:
            self.template_name = "django/forms/widgets/textarea.html"
            self.attrs["rows"] = lines


class CredentialsForm(forms.Form):
    """What one kind of broker needs to be asked."""

    use_required_attribute = False
    fingerprint = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    certificate_confirmed = forms.BooleanField(required=False, label="This is the certificate of my gateway")

    def __init__(self, kind: LinkSpec, data: Any = None, *, current: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self.kind = kind
        self.certificate = ""
        """SHA-256, in hexadecimal, of one that nobody vouches for and the person is to confirm."""
        for each in kind.fields:
            self.fields[each.name] = _field(each, (current or {}).get(each.name, each.initial))
        if not kind.has_certificate:
            del self.fields["fingerprint"], self.fields["certificate_confirmed"]

    @property
    def asked(self) -> list[forms.BoundField]:
        return [self[each.name] for each in self.kind.fields]

    def given(self) -> dict[str, dict[str, str]]:
        """Settings and secrets apart. For a form that is valid."""
        made: dict[str, dict[str, str]] = {"own": {}, "secrets": {}}
        for each in self.kind.fields:
            value = str(self.cleaned_data[each.name]).replace("\r\n", "\n")
            made["secrets" if each.is_secret else "own"][each.name] = value
        if self.cleaned_data.get("certificate_confirmed"):
            made["own"]["fingerprint"] = self.cleaned_data["fingerprint"]
        return made

    @property
    def certificate_in_pairs(self) -> str:
        """As openssl writes it."""
        return ":".join(self.certificate[place : place + 2] for place in range(0, len(self.certificate), 2)).upper()

    def refuse(self, refusal: Refusal) -> None:
        if isinstance(refusal, UnknownCertificate):
            self.certificate = refusal.fingerprint
        self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))


def _field(each: LinkField, initial: str) -> forms.Field:
    told: dict[str, Any] = {"label": each.label, "help_text": each.help, "initial": initial}
    if each.options:
        return forms.ChoiceField(choices=each.options, required=False, **told)
    if each.most is not None:
        wrong = f"{each.label} must be a whole number from 1 to {each.most:,}."
        return forms.IntegerField(
            min_value=1,
            max_value=each.most,
            widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
            error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), wrong),
            **told,
        )
    widget = _WriteOnly(each.lines) if each.is_secret else forms.TextInput(attrs={"autocomplete": "off"})
    blanks = each.lines > 1 or each.with_blanks
    return _Typed(
        each.read,
        max_length=4000,
        widget=widget,
        error_messages={"required": f"{each.label} is required."},
        validators=[] if blanks else [_no_blanks],
        **told,
    )


class _Typed(forms.CharField):
    def __init__(self, read: Callable[[str], str] | None, **told: Any) -> None:
        super().__init__(**told)
        self._read = read

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        try:
            return text if self._read is None else self._read(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


def _no_blanks(text: str) -> None:
    if any(char.isspace() for char in text) or not text.isascii():
        raise forms.ValidationError("This contains a space or a character that keys never have. Copy it again.")


class LinkForm(CredentialsForm):
    """A new connection: its name, whether it is paper or live, the limits live needs, and the credentials."""

    name = forms.CharField(
        label="Name", max_length=60, validators=[validate_line], help_text="The name you and your assistants will see."
    )
    environment = forms.ChoiceField(label="Which account", widget=forms.RadioSelect)
    order_notional = forms.CharField(
        label="Maximum value of one order", required=False, help_text="In the account's currency. Required for live."
    )
    daily_notional = forms.CharField(
        label="Maximum value of all orders in a day", required=False, help_text="Per UTC day. Required for live."
    )
    trading_enabled = forms.BooleanField(
        label="Allow trading",
        help_text="Apps with permission to trade can place orders here. On live, each one waits for your approval.",
        required=False,
    )
    with_key = forms.BooleanField(
        label="Create a key that reads",
        help_text="For a script: it cannot trade and ends after 90 days. Assistants sign in without a key.",
        required=False,
    )

    def __init__(self, kind: LinkSpec, data: Any = None) -> None:
        super().__init__(kind, data)
        environment = self.fields["environment"]
        assert isinstance(environment, forms.ChoiceField)
        environment.choices = [
            (each.value, LabeledChoice("Paper" if each is Environment.PAPER else "Live", words))
            for each, words in kind.environments.items()
        ]
        environment.initial = None if kind.picked_by_person else next(iter(kind.environments)).value
        environment.error_messages["required"] = "Choose paper or live."
        self.fields["name"].initial = kind.called or kind.title
        for name in LIVE_NEEDS:
            self.fields[name].widget.attrs = {"inputmode": "decimal", "autocomplete": "off"}

    @property
    def limits(self) -> Limits | None:
        """None when they cannot be read, which the form then says."""
        given = {name: _amount(self.cleaned_data[name]) for name in LIVE_NEEDS if self.cleaned_data[name].strip()}
        try:
            return limits.parse(given)
        except Refusal as refusal:
            self.add_error(refusal.field, f"This {str(refusal).removeprefix(refusal.field).strip()}")
            return None


_HELP = {
    "order_notional": "Maximum value of one order. A market order is counted at 2% beyond the current price.",
    "daily_notional": "All orders released since midnight UTC; open orders count at their maximum value.",
    "position_value": "Maximum value of one position after an order, including open orders.",
    "equity_share": "Maximum share of your total equity in one position, such as 20.",
    "daily_loss": "After this loss since midnight UTC, orders can only reduce positions.",
    "price_collar": "How much worse than the last price an order's price can be. At most 2 for market orders on live.",
    "orders_per_minute": "",
    "symbols": "Separated by commas or spaces. Leave empty to allow every symbol.",
    "denied_symbols": "Separated by commas or spaces.",
    "asset_classes": "None selected: every kind.",
    "order_types": "None selected: every type.",
    "trading_hours_only": f"Stocks and funds: New York hours; holidays are known until "
    f"{EXCHANGES['XNYS'].known_until:%-d %B %Y}. Crypto trades at all hours.",
}
_CLASSES = {
    AssetClass.STOCK: "Stocks",
    AssetClass.ETF: "Funds (ETF)",
    AssetClass.CRYPTO: "Crypto",
    AssetClass.PERPETUAL: "Perpetuals",
    AssetClass.FUTURE: "Futures",
    AssetClass.OPTION: "Options",
    AssetClass.FOREX: "Currencies",
}
_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "Stop-limit",
    OrderType.TRAIL: "Trailing stop",
}


# 25,000 is clear; 0,5 is not, and is refused.
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?")


def _amount(text: str) -> str:
    text = text.strip()
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Beside:
    """A field with what is used of its limit now, what is left of it, and the unit of both."""

    field: forms.BoundField
    used: Decimal | None
    left: Decimal | None
    unit: str


class LimitsForm(forms.Form):
    """All limits of a connection or an app. What is left empty is no limit."""

    use_required_attribute = False
    order_notional = forms.CharField()
    daily_notional = forms.CharField()
    position_value = forms.CharField()
    daily_loss = forms.CharField()
    equity_share = forms.CharField()
    price_collar = forms.CharField()
    orders_per_minute = forms.IntegerField(min_value=1, max_value=limits.MOST_PER_MINUTE)
    trading_hours_only = forms.BooleanField()
    symbols = forms.CharField(widget=forms.TextInput)
    denied_symbols = forms.CharField(widget=forms.TextInput)
    asset_classes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        choices=[(each.value, _CLASSES[each]) for each in AssetClass],
    )
    order_types = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        choices=[(each.value, _TYPES[each]) for each in OrderType],
    )

    def __init__(self, data: Any = None, *, currency: str, current: Limits) -> None:
        super().__init__(data, initial=_initial(current))
        self.currency, self.current = currency, current
        for name, field in self.fields.items():
            field.required = False
            field.label = TITLES[name]
            if name in AMOUNTS and currency:
                field.label += f" ({currency})"
            elif name in limits.PERCENTS:
                field.label += " (%)"
            field.help_text = _HELP[name]
            if isinstance(field, forms.CharField):
                field.widget.attrs = {"autocomplete": "off", "spellcheck": "false"}
                if name in limits.NUMBERS:
                    field.widget.attrs["inputmode"] = "decimal"

    def beside(self, spent: Mapping[str, Decimal | None]) -> list[Beside]:
        units = dict.fromkeys(AMOUNTS, self.currency) | {"orders_per_minute": "orders"}
        made = []
        for name in (*limits.NUMBERS, "orders_per_minute"):
            used, value = spent.get(name), getattr(self.current, name)
            left = None if used is None or value is None else max(Decimal(value) - used, Decimal(0))
            made.append(Beside(self[name], used, left, units.get(name, "%")))
        return made

    @property
    def ticks(self) -> list[forms.BoundField]:
        return [self["asset_classes"], self["order_types"]]

    @property
    def limits(self) -> Limits | None:
        """What was asked for; None when some of it cannot be read, which the form then says."""
        if not self.is_valid():
            return None
        given: dict[str, Any] = {}
        for name, value in self.cleaned_data.items():
            if name in ("symbols", "denied_symbols"):
                value = [part for part in re.split(r"[,;\s]+", value) if part]
            elif isinstance(value, str):
                value = _amount(value)
            if value not in (None, "", [], False):
                given[name] = value
        try:
            return limits.parse(given)
        except Refusal as refusal:
            self.add_error(refusal.field, f"This {str(refusal).removeprefix(refusal.field).strip()}")
            return None


def _initial(current: Limits) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in TITLES:
        value = getattr(current, name)
        if isinstance(value, Decimal):
            value = plain(value)
        elif name in ("symbols", "denied_symbols"):
            value = ", ".join(sorted(value or ()))
        elif isinstance(value, frozenset):
            value = sorted(value)
        shown[name] = value
    return shown
