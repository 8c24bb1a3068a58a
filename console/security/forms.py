from django import forms

from console.accounts.text_validators import validate_line


class AppForm(forms.Form):
    code = forms.CharField(
        label="Code currently shown in the app",
        max_length=12,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class PasskeyForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=60,
        initial="This computer",
        validators=[validate_line],
        help_text="Helps you tell your passkeys apart.",
    )
    credential = forms.CharField(widget=forms.HiddenInput, required=False)
