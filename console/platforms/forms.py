from django import forms

from console.accounts.text_validators import validate_program_name


class PlatformForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_program_name],
        help_text="The product. Its users see it as an app under Connected apps.",
    )
