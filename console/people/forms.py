from django import forms

from console.accounts.text_validators import validate_line


class InviteForm(forms.Form):
    email = forms.EmailField(
        label="E-mail",
        validators=[validate_line],
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "off"}),
    )
    operator = forms.BooleanField(
        label="Operator",
        required=False,
        help_text="Can also invite and disable people, and see everyone's activity.",
    )
