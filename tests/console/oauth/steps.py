"""What the consent page holds."""

import re
from html import unescape
from typing import Any


def text_of(page: Any) -> str:
    html = page.content.decode()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def inputs_of(page: Any, name: str) -> dict[str, bool]:
    """Each radio's value, and whether it is chosen."""
    html = page.content.decode()
    found = re.findall(rf'<input type="radio" name="{name}" value="([^"]*)"([^>]*)>', html)
    return {value: "checked" in rest for value, rest in found}
