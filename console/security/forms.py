from typing import Any

from django import forms
from django.http import HttpRequest

from console.accounts.fields import seen
from console.accounts.forms import NewPasswordForm, PasswordAgainForm
from console.accounts.models import User


class ChangePasswordForm(NewPasswordForm):
    current = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    field_order = ("current", "password", "again")

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    def clean_current(self) -> str:
        # Throttled and worded as everywhere else.
        asked = PasswordAgainForm(self._request, self._user, {"password": self.cleaned_data["current"]})
        if not asked.is_valid():
            raise forms.ValidationError(asked.errors["password"].as_data())
        current: str = self.cleaned_data["current"]
        return current


class AppForm(forms.Form):
    code = forms.CharField(
        label="Code that the app shows now",
        max_length=12,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class PasskeyForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=60,
        initial="This computer",
        validators=[seen],
        help_text="So that you can tell your passkeys apart.",
    )
    credential = forms.CharField(widget=forms.HiddenInput, required=False)
