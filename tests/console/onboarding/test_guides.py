"""Setup guides: a page for each host, filled with the values of this instance, whatever these are."""

import base64
import json
import re
import tomllib
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console.accounts.models import User
from console.clients import registration
from console.onboarding import guides, hosts
from console.onboarding.guide import CLIENT_ID, KEY, Guide, Place, Reachability, Runs, SnippetUse
from console.scopes import ALL
from tests.console.pages import text_of, words_of

LOCAL = Place(public_url="http://localhost:8000")
HOSTED = Place(public_url="https://desk.example.com")
BY_HAND = Place(public_url="https://desk.example.com", self_registration="off")
SLUGS = [guide.slug for guide in hosts.table(LOCAL)]
CALLED_FROM_OUTSIDE = ["claude", "chatgpt", "copilot-studio", "perplexity"]


def texts_on(page: str) -> list[str]:
    return [unescape(text) for text in re.findall(r'<div class="copyable"><code>(.*?)</code>', page, re.S)]


def at(settings: LazySettings, url: str) -> None:
    settings.PUBLIC_URL = settings.ISSUER = url
    settings.MCP_URL = f"{url}/mcp"


def guide(slug: str, place: Place) -> Guide:
    found = guides.find(slug, place)
    assert found is not None
    return found


def test_the_list_leads_to_every_guide(browser: Browser) -> None:
    page = text_of(browser.get("/connect/"))
    assert re.findall(r'href="/connect/([a-z-]+)/"', page) == SLUGS
    assert len(SLUGS) == 17


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_gives_the_texts_of_its_guide_to_copy(browser: Browser, slug: str) -> None:
    texts = texts_on(text_of(browser.get(f"/connect/{slug}/")))
    wanted = [step.copy for way in guide(slug, LOCAL).ways for step in way.steps if step.copy]
    assert wanted and texts[: len(wanted)] == wanted


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_names_this_instance_and_no_other(browser: Browser, settings: LazySettings, slug: str) -> None:
    at(settings, "https://desk.example.com")
    page = unescape(text_of(browser.get(f"/connect/{slug}/")))
    assert "https://desk.example.com/mcp" in page
    assert "https://desk.example.com/oauth/authorize" in page
    assert "localhost:8000" not in page


def test_there_is_no_page_for_a_host_without_a_guide(browser: Browser) -> None:
    assert browser.get("/connect/teletype/").status_code == 404


@pytest.mark.parametrize("slug", CALLED_FROM_OUTSIDE)
def test_a_host_on_the_internet_cannot_reach_this_computer(browser: Browser, settings: LazySettings, slug: str) -> None:
    name = guide(slug, LOCAL).name
    told = f"This instance is at http://localhost:8000, which {name} cannot reach"
    assert told in words_of(browser.get(f"/connect/{slug}/"))
    assert words_of(browser.get("/connect/")).count("Cannot reach http://localhost:8000") == len(CALLED_FROM_OUTSIDE)
    at(settings, "https://desk.example.com")
    hosted = words_of(browser.get(f"/connect/{slug}/"))
    assert "cannot reach" not in hosted
    assert f"{name} connects to https://desk.example.com from the internet" in hosted
    assert "Cannot reach" not in words_of(browser.get("/connect/"))


def test_a_host_on_the_persons_computer_is_told_that_localhost_is_this_computer(browser: Browser) -> None:
    assert "http://localhost:8000 works only on the computer where Tradelatch runs" in words_of(
        browser.get("/connect/cursor/")
    )


def test_an_address_without_encryption_is_warned_of(browser: Browser, settings: LazySettings) -> None:
    at(settings, "http://desk.lan:8000")
    assert "without encryption" in words_of(browser.get("/connect/cursor/"))


@pytest.mark.parametrize(
    ("url", "reach"),
    [
        ("http://localhost:8000", Reachability.LOOPBACK),
        ("http://127.0.0.1:8000", Reachability.LOOPBACK),
        ("http://[::1]:8000", Reachability.LOOPBACK),
        ("http://192.168.1.20:8000", Reachability.PRIVATE),
        ("https://desk", Reachability.PRIVATE),
        ("https://desk.internal", Reachability.PRIVATE),
        ("https://8.8.8.8", Reachability.PUBLIC),
        ("https://desk.example.com", Reachability.PUBLIC),
    ],
)
def test_from_where_an_address_can_be_called(url: str, reach: Reachability) -> None:
    assert Place(public_url=url).reach is reach


@pytest.mark.parametrize("slug", CALLED_FROM_OUTSIDE)
def test_https_inside_a_house_is_not_the_internet(slug: str) -> None:
    inside = Place(public_url="https://desk.internal")
    assert "cannot reach" in guides.warning(guide(slug, inside), inside)


@pytest.mark.parametrize("place", [LOCAL, HOSTED, BY_HAND])
def test_what_goes_into_a_file_is_read_by_its_parser(place: Place) -> None:
    for each in hosts.table(place):
        for way in each.ways:
            for text in way.texts(SnippetUse.FILE):
                if text.startswith("{"):
                    assert place.url in json.dumps(json.loads(text)), each.slug
                elif text.startswith("["):
                    assert tomllib.loads(text)["mcp_servers"]["tradelatch"]["url"] == place.url
                else:
                    compile(text, each.slug, "exec")


def test_each_host_gets_the_words_its_own_configuration_has() -> None:
    def config(slug: str, way: str) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(guide(slug, HOSTED).way(way).texts(SnippetUse.FILE)[0])
        return loaded

    url = "https://desk.example.com/mcp"
    assert config("cursor", "oauth") == {"mcpServers": {"tradelatch": {"url": url}}}
    assert config("vscode", "oauth") == {"servers": {"tradelatch": {"type": "http", "url": url}}}
    assert config("windsurf", "oauth") == {"mcpServers": {"tradelatch": {"serverUrl": url}}}
    assert config("gemini-cli", "key") == {
        "mcpServers": {
            "tradelatch": {"httpUrl": url, "headers": {"Authorization": "Bearer $TRADELATCH_API_KEY"}},
        }
    }


def test_the_link_into_cursor_carries_its_configuration() -> None:
    odd = {"url": "https://desk.example.com/mcp?>>>???"}  # base64 of it holds + and /
    link = urlsplit(hosts.cursor_link(odd))
    assert (link.scheme, link.netloc, link.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    query = parse_qs(link.query, strict_parsing=True)
    assert query["name"] == ["tradelatch"]
    assert json.loads(base64.b64decode(query["config"][0], validate=True)) == odd
    assert "+" not in link.query and "/" not in link.query


def test_the_link_into_vs_code_is_what_encode_uri_component_makes(browser: Browser) -> None:
    link = hosts.vscode_link({"type": "http", "url": "https://desk.example.com/mcp"})
    assert link == (
        "vscode:mcp/install?%7B%22name%22%3A%22tradelatch%22%2C%22type%22%3A%22http%22%2C"
        "%22url%22%3A%22https%3A%2F%2Fdesk.example.com%2Fmcp%22%7D"
    )
    page = unescape(text_of(browser.get("/connect/vscode/")))
    found = re.search(r'href="vscode:mcp/install\?([^"]+)"', page)
    assert found and json.loads(unquote(found[1]))["url"] == "http://localhost:8000/mcp"


def test_no_page_shows_a_real_key(browser: Browser, read_key: str, trade_key: str) -> None:
    for slug in SLUGS:
        page = text_of(browser.get(f"/connect/{slug}/"))
        assert not re.search(r"tl_(paper|live|manage)_[0-9A-Za-z]{8}_", page), slug
    assert KEY in text_of(browser.get("/connect/claude-code/"))
    assert 'href="/keys/new/"' in text_of(browser.get("/connect/claude-code/"))


@pytest.mark.parametrize("slug", ["claude-code", "codex", "cursor", "gemini-cli", "mcp-remote", "claude", "chatgpt"])
def test_where_apps_may_not_register_themselves_the_owners_client_is_filled_in(
    browser: Browser, owner: User, other: User, settings: LazySettings, slug: str
) -> None:
    settings.SELF_REGISTRATION = "off"
    redirects = list(guide(slug, LOCAL).redirects)
    registration.register_static(other, name="Theirs", redirect_uris=redirects, scopes=frozenset(ALL))
    before = text_of(browser.get(f"/connect/{slug}/"))
    assert CLIENT_ID in before and 'href="/clients/new/"' in before
    assert "\n".join(redirects) in unescape(before)
    client, _ = registration.register_static(owner, name="Mine", redirect_uris=redirects, scopes=frozenset(ALL))
    after = text_of(browser.get(f"/connect/{slug}/"))
    assert client.client_id in after
    assert CLIENT_ID not in after


def test_a_client_that_returns_elsewhere_is_not_filled_in(
    browser: Browser, owner: User, settings: LazySettings
) -> None:
    settings.SELF_REGISTRATION = "off"
    registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset(ALL)
    )
    assert CLIENT_ID in text_of(browser.get("/connect/cursor/"))


def test_where_an_operator_looks_first_the_page_says_so(browser: Browser, settings: LazySettings) -> None:
    settings.SELF_REGISTRATION = "review"
    assert "waits until the app is accepted" in words_of(browser.get("/connect/cursor/"))


def test_copilot_studio_is_given_the_endpoints_where_they_have_to_be_typed_in() -> None:
    texts = guide("copilot-studio", BY_HAND).way("oauth").texts(SnippetUse.VALUE)
    assert "https://desk.example.com/oauth/authorize" in texts
    assert "https://desk.example.com/oauth/token" in texts


@pytest.mark.parametrize(
    ("slug", "package"),
    [
        ("claude-code", "@anthropic-ai/claude-code"),
        ("codex", "@openai/codex"),
        ("mcp-remote", "mcp-remote"),
        ("inspector", "@modelcontextprotocol/inspector"),
        ("gemini-cli", "@google/gemini-cli"),
        ("qwen-code", "@qwen-code/qwen-code"),
        ("opencode", "opencode-ai"),
        ("copilot-cli", "@github/copilot"),
    ],
)
def test_the_version_a_guide_was_run_against_is_the_one_that_is_run(slug: str, package: str) -> None:
    hosts_folder = Path(__file__).parents[2] / "hosts"
    pinned: dict[str, str] = {}
    for file in (hosts_folder / "package.json", hosts_folder / "scripted" / "package.json"):
        pinned |= json.loads(file.read_text())["dependencies"]
    assert f"version {pinned[package]}" in guide(slug, LOCAL).seen


@pytest.mark.parametrize("place", [LOCAL, HOSTED, BY_HAND])
def test_what_runs_unattended_has_a_key_and_says_what_lets_it_call_tools(place: Place) -> None:
    allows = {
        "claude-code": '--allowedTools "mcp__tradelatch__*"',
        "codex": 'approval_mode = "approve"',
        "gemini-cli": "--trust",
        "qwen-code": "--trust",
        "opencode": "opencode run",
        "copilot-cli": '--allow-tool "tradelatch"',
    }
    found = {each.slug: each for each in hosts.table(place) if any(way.slug == "unattended" for way in each.ways)}
    assert found.keys() == allows.keys()
    for slug, each in found.items():
        texts = [step.copy for step in each.way("unattended").steps if step.copy]
        assert any(allows[slug] in text for text in texts), slug
        assert any(KEY in text for text in texts), slug


def test_codex_runs_unattended_what_the_file_names_and_stops_come_first() -> None:
    (text,) = guide("codex", LOCAL).way("unattended").texts(SnippetUse.FILE)
    tools = tomllib.loads(text)["mcp_servers"]["tradelatch"]["tools"]
    assert list(tools) == ["halt_trading", "cancel_order", "place_order", "confirm_trade"]
    assert all(tool == {"approval_mode": "approve"} for tool in tools.values())
    # The toolsets that are off by default have tools that change something, too: `make hosts` adds them so.
    assert any("two lines like these" in step.text for step in guide("codex", LOCAL).way("unattended").steps)


def test_every_host_called_from_outside_is_among_those_that_are_warned() -> None:
    assert [each.slug for each in hosts.table(LOCAL) if each.runs is Runs.INTERNET] == CALLED_FROM_OUTSIDE
