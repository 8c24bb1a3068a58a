"""What hosts sent while they traded, kept for tests that need no host: ``make hosts RECORD=1`` writes it anew.

One file for each host in tests/mcpserver/recorded. Ids that an instance made stand there by name, for the replay to
fill in; what tells of a person, a folder or a session is taken out.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.hosts.scripted.hosts import ROOT, Host, version

FOLDER = ROOT / "tests" / "mcpserver" / "recorded"
# What a host says of itself to people.
_ABOUT = ("description", "websiteUrl")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAMED = ((re.compile(r"\bcnf_[0-9A-Z]{20,}"), "{confirmation_id}"), (re.compile(r"\bord_[0-9A-Z]{20,}"), "{order_id}"))


def write(host: Host, requests: Iterable[Mapping[str, Any]], *, bought: bool) -> None:
    kept = {
        "host": host.name,
        "version": version(host),
        "bought": bought,
        "requests": [{"headers": each["headers"], "body": _without_persons(each["body"])} for each in requests],
    }
    name = re.sub(r"\W+", "-", host.name.lower())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def _without_persons(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_persons(each, name) for name, each in value.items() if name not in _ABOUT}
    if isinstance(value, list):
        return [_without_persons(each) for each in value]
    if key == "requestState":
        return "{request_state}"
    if isinstance(value, int) and key.endswith("_ms"):
        return 0
    if not isinstance(value, str):
        return value
    for pattern, name in _NAMED:
        value = pattern.sub(name, value)
    if value.startswith("/") and key != "uri":
        return "/home/olivia"
    return _UUID.sub("00000000-0000-4000-8000-000000000000", value)
