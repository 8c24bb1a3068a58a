from typing import Any

from django import forms

from console.accounts.models import User
from console.accounts.text_validators import validate_line


class HaltForm(forms.Form):
    """Stop oneself; an operator also everybody, or one person by address."""

    use_required_attribute = False
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=300,
        validators=[validate_line],
        help_text="Optional, for your own reference.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class HaltOthersForm(forms.Form):
    use_required_attribute = False
    prefix = "others"
    who = forms.ModelChoiceField(label="Whose", queryset=User.objects.none(), empty_label="Everybody", required=False)
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=300,
        validators=[validate_line],
        help_text="They see it with the halt.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["who"].queryset = User.objects.filter(is_active=True).order_by("email")  # type: ignore[attr-defined]  # set on the instance only
