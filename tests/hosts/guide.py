"""What a person copies from the setup guide of a running instance: the tests type nothing else."""

import html
import json
import re
import shlex
from typing import Any

from tests.person import Person
from tests.serving import Server


def texts(server: Server, slug: str, way: str, use: str) -> list[str]:
    """What the page of a host gives to copy: by ``oauth``, ``key`` or ``unattended``, for ``shell``, ``file`` or
    ``value``."""
    found = [text for each, text in _snippets(server, slug, way) if each == use]
    assert found, f"the guide of {slug} gives no {use}"
    return found


def steps(server: Server, slug: str, way: str, key: str) -> list[tuple[str, str]]:
    """Everything that a way gives to copy, in its order: what for, and the text with this key."""
    return [(use, text.replace("YOUR_API_KEY", key)) for use, text in _snippets(server, slug, way)]


def _snippets(server: Server, slug: str, way: str) -> list[tuple[str, str]]:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get(f"/connect/{slug}/")
    assert page.status_code == 200, page.text[:2000]
    panel = re.search(rf'<div class="panel" data-way="{way}">(.*?)</ol>', page.text, re.S)
    assert panel is not None, f"the guide of {slug} has no way {way}"
    found = re.findall(r'<li data-use="(\w+)">(?:(?!</li>).)*?<code>((?:(?!</code>).)*)</code><button', panel[1], re.S)
    return [(use, html.unescape(text)) for use, text in found]


def commands(server: Server, slug: str, way: str) -> list[list[str]]:
    """The commands of a guide as a shell takes them apart; a key of the instance in place of the placeholder."""
    return [shlex.split(_with_key(server, text)) for text in texts(server, slug, way, "shell")]


def file(server: Server, slug: str, way: str) -> str:
    """The one text that goes into a file."""
    (text,) = texts(server, slug, way, "file")
    return _with_key(server, text)


def local_server(server: Server, slug: str, way: str) -> dict[str, Any]:
    """How a host starts the local server: ``command``, ``args`` and perhaps ``env``."""
    started: dict[str, Any] = json.loads(file(server, slug, way))["mcpServers"]["tradelatch"]
    return started


def _with_key(server: Server, text: str) -> str:
    return text.replace("YOUR_API_KEY", server.quickstart["paper_key_trade"])
