from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from console.accounts import known_browsers, second_factors
from console.accounts.models import User
from console.accounts.throttle import TOO_MANY, SignInAttempt
from console.audit import sign_ins
from console.request_origin import ProofKind


class SignInForm(AuthenticationForm):
    username = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username webauthn", "autofocus": True})
    )
    error_messages = {
        "invalid_login": "Wrong e-mail address or password.",
        "inactive": "Wrong e-mail address or password.",
        "throttled": TOO_MANY,
    }

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        email = self.cleaned_data.get("username", "")
        attempt = SignInAttempt(
            ip=self.request.META.get("REMOTE_ADDR", ""),
            email=email,
            browser=known_browsers.browser_of(self.request, email) if email else "",
        )
        if not attempt.begin():
            sign_ins.throttled(email)
            raise ValidationError(self.error_messages["throttled"], code="throttled")
        try:
            cleaned = super().clean()
        except ValidationError:
            sign_ins.failed(email, ProofKind.PASSWORD)
            raise
        if self.get_user() is not None:
            attempt.succeeded()
        return cleaned


class _Unrepeated(forms.TextInput):
    """What was typed is not sent back: a recovery code that was refused here may still be somebody's."""

    def format_value(self, value: Any) -> None:
        return None


class CodeForm(forms.Form):
    """A code of the person's authenticator app, or one of their recovery codes."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=_Unrepeated(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request, self._user = request, user

    def clean_code(self) -> str:
        ip = self._request.META.get("REMOTE_ADDR", "")
        attempt = SignInAttempt(ip=ip, email=self._user.email, kind="second-step")
        if not attempt.begin():
            raise ValidationError(TOO_MANY, code="throttled")
        code: str = self.cleaned_data["code"]
        if not second_factors.check_code(self._user, code):
            raise ValidationError("Wrong code, or it was already used.", code="wrong")
        attempt.succeeded()
        return code


class RecoverForm(forms.Form):
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        # Never counted as a success: letters are limited, whether or not the address is somebody's.
        if not SignInAttempt(ip=self._request.META.get("REMOTE_ADDR", ""), email=email, kind="recovery").begin():
            raise ValidationError(TOO_MANY, code="throttled")
        return email


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least 12 characters. Several unrelated words make a strong password.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="New password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, self._user)
        return password

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "password" in cleaned and cleaned["password"] != cleaned.get("again"):
            self.add_error("again", "The passwords do not match.")
        return cleaned


@dataclass(frozen=True, slots=True)
class LabeledChoice:
    """The label of a radio button, with the sentence that stands beneath it."""

    label: str
    text: str

    def __str__(self) -> str:
        return self.label
