from decimal import Decimal

from django import forms

from console.accounts.choice import Choice


class PaperConnectionForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=60, initial="Practice", help_text="How you and your assistants will know it."
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
                Choice("Open at all hours", "Orders can fill at any time. Good for trying things out."),
            ),
            (
                "venue",
                Choice("Keep the exchange's hours", "Orders fill only while the real exchange would be open."),
            ),
        ],
    )
    trading_enabled = forms.BooleanField(
        label="Allow trading",
        help_text="Apps with permission to trade can place orders here. Each is confirmed first.",
        required=False,
        initial=True,
    )
