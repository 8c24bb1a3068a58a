from django import forms

from console.accounts.text_validators import validate_line


class SavedViewForm(forms.Form):
    use_required_attribute = False
    name = forms.CharField(label="Name", max_length=60, validators=[validate_line])
    is_default = forms.BooleanField(label="Open the page with it", required=False)
