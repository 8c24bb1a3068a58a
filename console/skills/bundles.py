"""Skills as files: a folder for any host, and a plugin for Claude Code and Codex.

They hold this instance's address and no secret. Claude Code plugins and marketplaces, as ``claude plugin
validate`` 2.1.328 takes them; Codex 0.169 reads the same folder.
"""

import json
from typing import Any

from console.onboarding.guide import NAME, Place
from console.skills import texts
from console.skills.texts import FILE_NAME, Skill
from console.zip_files import zipped

PLUGIN = f"{NAME}-skills"
"""The folder of the plugin's archive."""
_ABOUT = "Skills for a broker account behind the Tradelatch at {}, within the limits its owner set, and its address."


def folder(skill: Skill) -> bytes:
    return zipped({f"{skill.name}/{FILE_NAME}": skill.text.encode()})


def all_folders() -> bytes:
    """For the folder in which a host looks for skills."""
    return zipped({f"{each.name}/{FILE_NAME}": each.text.encode() for each in texts.skills()})


def plugin(place: Place, version: str) -> bytes:
    """A marketplace of one plugin: what both hosts add by its folder."""
    about = _ABOUT.format(place.public_url)
    inside = f"{PLUGIN}/plugins/{NAME}"
    return zipped(
        {
            f"{PLUGIN}/.claude-plugin/marketplace.json": _json(
                {
                    "name": NAME,
                    "description": about,
                    "owner": {"name": "Tradelatch", "url": place.public_url},
                    "plugins": [{"name": NAME, "source": f"./plugins/{NAME}", "description": about}],
                }
            ),
            f"{inside}/.claude-plugin/plugin.json": _json(
                {
                    "name": NAME,
                    "version": version,
                    "description": about,
                    "author": {"name": "Tradelatch", "url": place.public_url},
                    "homepage": place.public_url,
                    "license": "MIT",
                }
            ),
            f"{inside}/.mcp.json": _json({"mcpServers": {NAME: {"type": "http", "url": place.url}}}),
            **{f"{inside}/skills/{each.name}/{FILE_NAME}": each.text.encode() for each in texts.skills()},
        }
    )


def _json(value: dict[str, Any]) -> bytes:
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()
