"""How the pages show the words of a setup guide."""

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from console.onboarding import guides
from console.onboarding.guide import GuideStep

register = template.Library()


@register.filter
def ticked(text: str) -> SafeString:
    """What stands between backticks as code; apostrophes of the prose as a printer sets them."""
    pieces = [
        f"<code>{conditional_escape(piece)}</code>" if odd else conditional_escape(piece.replace("'", "\u2019"))
        for odd, piece in ((index % 2, piece) for index, piece in enumerate(re.split("`", text)))
    ]
    return SafeString("".join(pieces))


@register.simple_tag
def steps_with_key(slug: str, key: str) -> list[GuideStep]:
    """The steps of a host's guide that hold a text to copy, with a key that was just made in its place."""
    found = guides.find(slug, guides.place_of(key=key))
    return [step for step in found.way("key").steps if step.copy] if found else []
