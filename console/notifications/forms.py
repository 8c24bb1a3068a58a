from django import forms

from console.notifications import choices
from console.notifications.models import ChannelKind, NewsKind
from console.public_http import LONGEST_ADDRESS


class ChoicesForm(forms.Form):
    """A list of channels for each kind of news. What always goes by e-mail cannot be switched off."""

    def chosen(self) -> dict[NewsKind, frozenset[ChannelKind]]:
        """What was ticked. Of channels that this instance does not have now, the usual is kept."""
        hidden = [channel for channel in ChannelKind if channel not in choices.kinds_there_are()]
        made: dict[NewsKind, frozenset[ChannelKind]] = {}
        for kind in choices.CHOSEN:
            ticked = {channel for channel in choices.kinds_there_are() if field_name(kind, channel) in self.data}
            made[kind] = frozenset(ticked | (choices.DEFAULTS[kind] & set(hidden)))
        return made


def field_name(kind: NewsKind, channel: ChannelKind) -> str:
    return f"{kind.value}-{channel.value}"


class TopicForm(forms.Form):
    server = forms.URLField(
        label="Server",
        initial="https://ntfy.sh",
        max_length=LONGEST_ADDRESS,
        assume_scheme="https",
        help_text="Where you installed ntfy, or https://ntfy.sh.",
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )
    topic = forms.RegexField(
        regex=r"^[A-Za-z0-9_-]{1,64}$",
        label="Topic",
        help_text="On a public server, whoever knows the topic can read it: make it long and random.",
        error_messages={"invalid": "A topic has up to 64 letters, digits, _ and -."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    token = forms.RegexField(
        regex=r"^[\x21-\x7e]+$",
        label="Access token (optional)",
        required=False,
        max_length=200,
        help_text="If the topic is protected. It is stored encrypted and not shown again.",
        error_messages={"invalid": "A token has no spaces and only ASCII characters."},
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


class WebhookForm(forms.Form):
    url = forms.URLField(
        label="Address",
        max_length=LONGEST_ADDRESS,
        assume_scheme="https",
        help_text="An https address that takes a POST. Each message is signed.",
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )
