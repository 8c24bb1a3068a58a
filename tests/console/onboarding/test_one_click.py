"""What a host installs with one click holds this instance's address, no secret, and what the host's format takes."""

import io
import json
import re
import subprocess
import sys
import zipfile
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.conf import LazySettings, settings
from django.test import Client as Browser

from console.onboarding import desktop_bundle, guides, hosts, mcp_registry_entry
from console.onboarding.guide import Place, SnippetUse
from tests.console.pages import text_of
from tests.patience import at_most

LOCAL = Place(public_url="http://localhost:8000")
HOSTED = Place(public_url="https://desk.example.com")


def at(settings: LazySettings, url: str) -> None:
    settings.PUBLIC_URL = settings.ISSUER = url
    settings.MCP_URL = f"{url}/mcp"


# -- the bundle for Claude Desktop ---------------------------------------------------------------------------


def test_the_bundle_names_this_instance_and_asks_for_the_key(browser: Browser, settings: LazySettings) -> None:
    at(settings, "https://desk.example.com")
    answer = browser.get("/connect/tradelatch.mcpb")
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="tradelatch.mcpb"'
    bundle = zipfile.ZipFile(io.BytesIO(answer.content))
    manifest = json.loads(bundle.read("manifest.json"))
    server = manifest["server"]
    assert server["entry_point"] in bundle.namelist()
    assert server["mcp_config"]["env"]["MCP_URL"] == "https://desk.example.com/mcp"
    assert server["mcp_config"]["env"]["TRADELATCH_API_KEY"] == "${user_config.api_key}"
    asked = manifest["user_config"]["api_key"]
    # An optional value left empty would reach the program as the text of its placeholder.
    assert (asked["required"], asked["sensitive"]) == (True, True)


def test_the_bundle_holds_no_key(browser: Browser, trade_key: str) -> None:
    bundle = zipfile.ZipFile(io.BytesIO(browser.get("/connect/tradelatch.mcpb").content))
    for name in bundle.namelist():
        assert b"tl_paper_" not in bundle.read(name)


def test_the_same_instance_makes_the_same_bundle() -> None:
    assert desktop_bundle.build(LOCAL, "1.0") == desktop_bundle.build(LOCAL, "1.0")
    assert desktop_bundle.build(LOCAL, "1.0") != desktop_bundle.build(HOSTED, "1.0")


def test_nobody_downloads_it_without_signing_in() -> None:
    assert Browser().get("/connect/tradelatch.mcpb").status_code == 302


def test_the_guide_leads_to_it(browser: Browser) -> None:
    assert 'href="/connect/tradelatch.mcpb"' in text_of(browser.get("/connect/stdio/"))


# -- links ---------------------------------------------------------------------------------------------------


def twice_decoded(link: str) -> object:
    """As VS Code reads it."""
    return json.loads(unquote(unquote(link.partition("?")[2])))


def test_the_link_into_vs_code_with_a_key_asks_for_it_there(browser: Browser) -> None:
    page = unescape(text_of(browser.get("/connect/vscode/")))
    links = re.findall(r'href="(vscode:mcp/install\?[^"]+)"', page)
    keyed = twice_decoded(links[1])
    assert isinstance(keyed, dict)
    assert (keyed["name"], keyed["type"]) == ("tradelatch", "http")
    assert keyed["headers"] == {"Authorization": "Bearer ${input:tradelatch-key}"}
    assert keyed["inputs"][0]["password"] is True


def test_a_percent_sign_survives_that_vs_code_decodes_twice() -> None:
    odd = {"type": "http", "url": "https://desk.example.com/mcp?a=%20b%25"}
    assert twice_decoded(hosts.vscode_link(odd)) == {"name": "tradelatch"} | odd


# -- the MCP registry ----------------------------------------------------------------------------------------


def test_a_public_instance_has_an_entry_for_the_registry(browser: Browser, settings: LazySettings) -> None:
    at(settings, "https://desk.example.com")
    entry = json.loads(browser.get("/connect/server.json").content)
    assert entry["name"] == "com.example.desk/tradelatch"
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert 1 <= len(entry["description"]) <= 100
    [remote] = entry["remotes"]
    assert (remote["type"], remote["url"]) == ("streamable-http", "https://desk.example.com/mcp")
    assert [header["name"] for header in remote["headers"]] == ["Authorization"]
    assert 'href="/connect/server.json"' in text_of(browser.get("/connect/"))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "https://desk.internal",
        "http://desk.example.com",
        "https://8.8.8.8",
        "https://my_desk.example.com",
        f"https://{'a' * 63}.{'b' * 63}.{'c' * 63}.example.com",
    ],
)
def test_an_instance_that_the_registry_would_refuse_has_none(
    browser: Browser, settings: LazySettings, url: str
) -> None:
    at(settings, url)
    assert mcp_registry_entry.server_json(Place(public_url=url), settings.VERSION) is None
    assert browser.get("/connect/server.json").status_code == 404
    assert "server.json" not in text_of(browser.get("/connect/"))


def test_the_entry_is_of_this_version() -> None:
    entry = mcp_registry_entry.server_json(HOSTED, settings.VERSION)
    assert entry is not None and entry["version"] == settings.VERSION


# -- the hook of Claude Code ---------------------------------------------------------------------------------


def hook_of_the_guide() -> tuple[str, dict[str, Any]]:
    found = guides.find("claude-code", LOCAL)
    assert found is not None
    program, settings_ = found.way("screen").texts(SnippetUse.VALUE)
    return program, json.loads(settings_)


@pytest.mark.parametrize(("pressed", "send"), [(0, True), (1, False), (5, None)], ids=["yes", "no", "no screen"])
def test_the_hook_passes_on_what_a_person_pressed_and_nothing_else(
    tmp_path: Path, pressed: int, send: bool | None
) -> None:
    program, _ = hook_of_the_guide()
    shown = tmp_path / "shown"
    zenity = tmp_path / "zenity"
    zenity.write_text(f'#!/bin/sh\nprintf "%s" "$5" > {shown}\nexit {pressed}\n')
    zenity.chmod(0o700)
    event = json.dumps({"hook_event_name": "Elicitation", "message": "Buy 1 AAPL\u001b[2J <b>now</b>"})
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=event,
        env={"PATH": f"{tmp_path}:/bin"},
        capture_output=True,
        text=True,
        timeout=at_most(30),
        check=True,
    )
    assert shown.read_text() == "Buy 1 AAPL [2J <b>now</b>"
    if send is None:
        assert ran.stdout == ""
    else:
        told = json.loads(ran.stdout)["hookSpecificOutput"]
        assert told == {"hookEventName": "Elicitation", "action": "accept", "content": {"send": send}}


def test_the_hook_is_of_this_server_alone() -> None:
    _, settings_ = hook_of_the_guide()
    [hook] = settings_["hooks"]["Elicitation"]
    assert hook["matcher"] == "tradelatch"
    assert hook["hooks"][0]["command"] == "python3 ~/.claude/ask_at_screen.py"
    assert hook["hooks"][0]["timeout"] < settings.CONFIRMATION_SECONDS
