"""What a skill tells a model exists, and every host reads the files."""

import html
import io
import json
import re
import zipfile

import pytest
import yaml
from django.conf import LazySettings
from django.test import Client as Browser

from console.errors import Retry
from console.skills import bundles, texts
from console.skills.texts import FILE_NAME, Skill
from mcpserver import catalog
from tests.console.pages import words_of

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
NOT_ARGUMENTS = {"code", "retry", "context", *(str(each) for each in Retry)}
"""Words of answers that the basics explain."""
JOBS = 10

pytestmark = pytest.mark.django_db


def packed(answer_content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(answer_content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(params=[each.name for each in texts.skills()])
def skill(request: pytest.FixtureRequest) -> Skill:
    found = texts.find(request.param)
    assert found is not None
    return found


def test_there_is_a_skill_for_each_of_ten_everyday_jobs() -> None:
    assert len(texts.skills()) == JOBS + 1


def test_every_tool_and_argument_that_a_skill_names_is_one_of_the_catalog(skill: Skill) -> None:
    tools = {tool.name: tool for tool in catalog.TOOLS}
    named = re.findall(r"`([a-z]+(?:_[a-z]+)*)`", skill.text)
    assert named
    used = [tools[each] for each in named if each in tools]
    known = {arg.name for tool in used for arg in tool.args} | NOT_ARGUMENTS
    assert {each for each in named if each not in tools} - known == set()


def test_values_that_a_skill_gives_an_argument_are_taken(skill: Skill) -> None:
    tools = {tool.name: tool for tool in catalog.TOOLS}
    used = [tools[each] for each in re.findall(r"`(\w+)`", skill.text) if each in tools]
    for name, value in re.findall(r"`(order_type|order_class|status|period|tif)` ([\w]+)", skill.text):
        if value in {"and", "of", "gives", "or", "with"}:
            continue
        args = [arg for tool in used for arg in tool.args if arg.name == name]
        assert any(value in arg.words() for arg in args), (name, value, [arg.words() for arg in args])


def test_a_skill_is_within_the_limits_of_the_format(skill: Skill) -> None:
    # agentskills.io: the name 1 to 64 characters and that of its folder, the description 1 to 1,024.
    assert NAME.fullmatch(skill.name) and len(skill.name) <= 64
    _, front, body = skill.text.split("---\n", 2)
    assert yaml.safe_load(front) == {"name": skill.name, "description": skill.description}
    assert 0 < len(skill.description) <= 1024
    assert body.startswith("# ")
    assert "<!--" not in skill.text


def test_the_basics_list_every_tool_and_this_instance(settings: LazySettings) -> None:
    settings.PUBLIC_URL, settings.CONFIRMATION_SECONDS = "https://desk.example.com", 90
    found = texts.find(texts.BASICS)
    assert found is not None
    assert all(f"- `{tool.name}`: " in found.text for tool in catalog.TOOLS)
    assert "https://desk.example.com/" in found.text
    assert "90 seconds" in found.text


def test_the_page_lists_them_and_each_is_read_there(browser: Browser) -> None:
    words = html.unescape(words_of(browser.get("/skills/")))
    assert all(each.name in words and each.description in words for each in texts.skills())
    assert "place_order prepares" in words_of(browser.get(f"/skills/{texts.BASICS}/")).replace("`", "")
    assert browser.get("/skills/nothing-such/").status_code == 404
    assert browser.get("/skills/nothing-such.zip").status_code == 404


def test_a_folder_and_all_folders_are_downloaded(browser: Browser) -> None:
    one = browser.get("/skills/rebalance.zip")
    assert one["Content-Disposition"] == 'attachment; filename="rebalance.zip"'
    assert list(packed(one.content)) == [f"rebalance/{FILE_NAME}"]
    every = packed(browser.get("/skills/tradelatch-skills.zip").content)
    assert list(every) == [f"{each.name}/{FILE_NAME}" for each in texts.skills()]


def test_the_plugin_holds_the_skills_and_this_instances_address_and_no_key(
    browser: Browser, settings: LazySettings, trade_key: str
) -> None:
    settings.PUBLIC_URL, settings.MCP_URL = "https://desk.example.com", "https://desk.example.com/mcp"
    files = packed(browser.get("/skills/tradelatch-plugin.zip").content)
    market = json.loads(files[f"{bundles.PLUGIN}/.claude-plugin/marketplace.json"])
    (entry,) = market["plugins"]
    inside = f"{bundles.PLUGIN}/{entry['source'].removeprefix('./')}"
    assert json.loads(files[f"{inside}/.claude-plugin/plugin.json"])["name"] == entry["name"]
    servers = json.loads(files[f"{inside}/.mcp.json"])["mcpServers"]
    assert servers == {"tradelatch": {"type": "http", "url": "https://desk.example.com/mcp"}}
    assert sum(name.endswith(f"/{FILE_NAME}") for name in files) == JOBS + 1
    assert not any("tl_paper_" in text for text in files.values())


def test_the_same_instance_makes_the_same_bytes(browser: Browser) -> None:
    first = browser.get("/skills/tradelatch-plugin.zip").content
    assert browser.get("/skills/tradelatch-plugin.zip").content == first
