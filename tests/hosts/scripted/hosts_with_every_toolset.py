"""Each host with the toolsets switched on that are off by default: its model is given their tools, and they work.

Asserted is what the model was given and what the instance holds. Run by ``make hosts``.
"""

import html
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from console.toolsets import Toolset
from mcpserver import catalog
from tests.console.signals.steps import FORM
from tests.hosts.scripted.conftest import Case, Played
from tests.hosts.scripted.conversation import Step
from tests.hosts.scripted.dialects import LISTING
from tests.hosts.scripted.model import DONE, is_named
from tests.person import Person
from tests.serving import Server

PAPER = {tool.name: tool for tool in catalog.TOOLS if catalog.can("paper", tool)}
ABOVE = {"kind": "price", "symbol": "BTC/USD", "condition": "above", "value": "9000000", "note": 'Café: sell "half"'}
TWAP = {"kind": "twap", "symbol": "BTC/USD", "side": "BUY", "quantity": "0.2", "orders": 2, "minutes": 10}
RULES = """{
  "name": "Café \\"dips\\"",
  "universe": ["BTC/USD"],
  "timeframe": "1h",

  "size": {"percent_of_equity": 50},
  "entry": {"left": "close", "is": "above", "right": 105},
  "exit": {"left": "close", "is": "below", "right": 105}
}
"""
"""A text of several lines, as an assistant writes it."""
WRONG = RULES.replace('"left": "close", "is": "above"', '"left": "SMA(1)", "is": "above"')
_LINE = 1 + next(number for number, line in enumerate(WRONG.splitlines()) if "SMA(1)" in line)
BACKTEST = {"rules": RULES, "start": "2026-01-01", "end": "2026-02-01", "cash": "5000"}


def _confirmation(read: Sequence[str]) -> Mapping[str, Any]:
    found = re.search(r"cnp_\w+", "\n".join(read))
    return {"confirmation_id": found[0] if found else "cnp_none"}


STEPS = (
    Step(tool="create_alert", words="price alert", arguments=ABOVE),
    Step(tool="prepare_plan", words="twap plan", arguments=TWAP),
    Step(tool="confirm_trade", words="confirm order", arguments=_confirmation),
    Step(tool="check_strategy", words="check strategy rules", arguments={"rules": WRONG}),
    Step(tool="backtest_strategy", words="backtest strategy", arguments=BACKTEST),
    Step(tool="get_signals", words="signals", arguments={}),
)


def _plain(text: str) -> str:
    """JSON that a host put into JSON, once or twice, reads as it did."""
    return text.replace("\\", "").replace('": ', '":')


def _signal_comes(server: Server) -> None:
    """Its owner creates an address on its page, and a sender posts the example there with its values filled in."""
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        page = person.get("/signals/new/")
        connection = re.search(r'name="connection" value="(\d+)"', page.text)
        assert connection is not None, page.text[:3000]
        made = person.post("/signals/new/", page, **FORM, connection=connection[1])
    shown = re.findall(r'<div class="copyable secret"><code>(.*?)</code>', made.text, re.DOTALL)
    address, _, example = map(html.unescape, shown)
    told = json.loads(example) | {"symbol": "AAPL", "side": "buy", "quantity": "3", "time": str(int(time.time()))}
    answer = httpx2.post(f"{server.url}/signals/in/{address.rpartition('/')[2]}", json=told)
    assert answer.status_code == 202, answer.text


def _name_for_codex(home: Path, tools: Iterable[str]) -> None:
    """As its guide says: ``codex exec`` runs no other tool that changes something."""
    file = home / ".codex" / "config.toml"
    if file.exists():
        two_lines = '\n[mcp_servers.tradelatch.tools.{}]\napproval_mode = "approve"\n'
        file.write_text(file.read_text() + "".join(map(two_lines.format, tools)))


@pytest.fixture(scope="module")
def played(case: Case) -> Played:
    """With every toolset switched on, everything in one conversation."""
    case.server.switch_on(case.server.quickstart["paper_key_trade"], Toolset)
    _name_for_codex(case.ready.home, ("create_alert", "prepare_plan", "backtest_strategy"))
    _signal_comes(case.server)
    return case.play(*STEPS)


def test_the_model_is_given_every_tool_with_its_arguments(played: Played) -> None:
    assert played.ran.code == 0 and DONE in played.ran.said, played
    first, last = played.model.turns[0], played.model.turns[-1]
    whole = {name for name in PAPER if any(is_named(each.name, name) and each.schema for each in first.offered)}
    listed = next((result.text for result in last.results if result.tool == LISTING), "")
    named = {name for name in PAPER if re.search(rf"__{name}\b", json.dumps(first.body) + listed)}
    # Where they are given neither in full nor by name, the model could find those it needed.
    assert whole == set(PAPER) or named == set(PAPER) or not whole | named, (set(PAPER) - whole, set(PAPER) - named)
    for offered in {
        **{each.name: each for each in last.offered},
        **{each.name: each for each in first.offered},
    }.values():
        tool = next((PAPER[name] for name in PAPER if is_named(offered.name, name)), None)
        if tool is not None and offered.schema is not None:
            declared = {arg.name for arg in tool.args if arg.in_schema}
            assert declared <= offered.schema.get("properties", {}).keys(), offered


def test_an_alert_is_created(case: Case, played: Played) -> None:
    assert '"status":"active"' in _plain(played.read[0]), played
    assert case.server.query("SELECT note FROM alerts_alert") == [(ABOVE["note"],)]


def test_a_plan_runs_once_it_is_confirmed(case: Case, played: Played) -> None:
    assert '"status":"needs_confirmation"' in _plain(played.read[1]), played
    assert '"status":"running"' in _plain(played.read[2]), played
    assert case.server.query("SELECT status FROM plans_tradingplan") == [("running",)]


def test_rules_arrive_line_by_line(case: Case, played: Played) -> None:
    assert re.search(rf'"ok":false.*"line":{_LINE}\b', _plain(played.read[3]), re.DOTALL), played
    assert '"status":"waiting"' in _plain(played.read[4]), played
    assert case.server.query("SELECT rules FROM strategies_backtest") == [(RULES,)]


def test_the_model_reads_what_a_signal_asked_for(case: Case, played: Played) -> None:
    (signal_id,) = case.server.query("SELECT public_id FROM signals_signal")[0]
    read = _plain(played.read[5])
    assert all(f'"{each}"' in read for each in (signal_id, "My strategy", "waiting", "AAPL", "BUY")), played
