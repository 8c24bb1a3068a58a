from django import forms

from console.accounts.forms import LabeledChoice
from console.accounts.text_validators import validate_program_name
from console.scopes import ALL, Scope, describe, label

_TRADE_WORDS = describe(Scope.TRADE)


class ClientForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_program_name],
        help_text="People see it when they are asked to allow the app.",
    )
    redirect_uris = forms.CharField(
        label="Redirect addresses",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        max_length=8000,
        help_text="One per line, exactly as the app sends them, including any trailing slash.",
    )
    scope = forms.ChoiceField(
        label="Widest access it can request",
        initial="read",
        widget=forms.RadioSelect,
        choices=[
            ("read", LabeledChoice(label(frozenset({Scope.READ})), describe(Scope.READ))),
            (
                "trade",
                LabeledChoice(label(frozenset(ALL)), f"Also: {_TRADE_WORDS[0].lower()}{_TRADE_WORDS[1:]}"),
            ),
        ],
    )
    confidential = forms.BooleanField(
        label="It can keep a secret",
        help_text="For a program on a server. Leave it off for apps on people's devices.",
        required=False,
    )

    @property
    def scopes(self) -> frozenset[Scope]:
        return frozenset(ALL) if self.cleaned_data["scope"] == "trade" else frozenset({Scope.READ})

    @property
    def addresses(self) -> list[str]:
        lines = (line.strip() for line in self.cleaned_data["redirect_uris"].splitlines())
        return [line for line in lines if line]
