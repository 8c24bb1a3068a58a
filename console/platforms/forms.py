from django import forms


class PlatformForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=100, help_text="The product. Its users see it as an app under Connected apps."
    )
