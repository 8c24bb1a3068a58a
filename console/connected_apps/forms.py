from django import forms

MOST_CALLS = 10_000
"""What can be set: more a minute is no limit to anybody."""


class RateForm(forms.Form):
    calls_per_minute = forms.IntegerField(
        label="Calls a minute",
        required=False,
        min_value=1,
        max_value=MOST_CALLS,
        help_text="Empty: as many as you may make with all apps together. Cancels are not counted.",
    )
