from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from console.accounts.models import User
from console.accounts.throttle import Attempt


class SignInForm(AuthenticationForm):
    username = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    error_messages = {
        "invalid_login": "The e-mail address or the password is not right.",
        "inactive": "The e-mail address or the password is not right.",
        "throttled": "Too many attempts. Wait 5 minutes, then try again.",
    }

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        attempt = Attempt(ip=self.request.META.get("REMOTE_ADDR", ""), email=self.cleaned_data.get("username", ""))
        if not attempt.begin():
            raise ValidationError(self.error_messages["throttled"], code="throttled")
        cleaned = super().clean()
        if self.get_user() is not None:
            attempt.succeeded()
        return cleaned


class PasswordAgainForm(forms.Form):
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request, self._user = request, user

    def clean_password(self) -> str:
        attempt = Attempt(ip=self._request.META.get("REMOTE_ADDR", ""), email=f"again:{self._user.pk}")
        if not attempt.begin():
            raise ValidationError(SignInForm.error_messages["throttled"], code="throttled")
        password: str = self.cleaned_data["password"]
        if not self._user.check_password(password):
            raise ValidationError("That is not your password.", code="wrong")
        attempt.succeeded()
        return password
