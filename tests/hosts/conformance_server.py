"""The server scenarios of the MCP conformance suite, in both eras, on our edge and gate: ``make conformance``."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import serving
from tests.hosts import proxy
from tests.hosts.conftest import Host

_EXPECTED = Path(__file__).with_name("conformance_expected_failures.yml")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("conformance") / "home"
    with (
        serving.serve(home, app="tests.hosts.conformance_app:application") as server,
        proxy.adding(server.quickstart["paper_key_trade"], to=server.port) as port,
    ):
        yield f"http://localhost:{port}/mcp"


def _scenarios(said: str) -> dict[str, bool]:
    """What the suite's summary says of each scenario; those without a single check count as passed, as it counts."""
    return {name: mark == "✓" for mark, name in re.findall(r"^([✓✗]) (\S+): \d+ passed", said, re.MULTILINE)}


def _required(host: Host, requirements: str) -> list[str]:
    listed = host.run("conformance", "list", "--server", "--requirements", requirements)
    names: list[str] = re.findall(r"^  - (\S+)$", listed.partition("Client scenarios")[0], re.MULTILINE)
    return names


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("requirements", "scenarios"), [("2026-07-28", 37), ("2025-11-25", 30)])
def test_every_required_scenario_passes_but_those_that_need_requests_to_the_client(
    address: str, host: Host, tmp_path: Path, requirements: str, scenarios: int
) -> None:
    options = ["--url", address, "--requirements", requirements, "-o", str(tmp_path / "results")]
    expected = set[str]()
    if requirements == "2025-11-25":
        options += ["--expected-failures", str(_EXPECTED)]
        expected = set(re.findall(r"^  - ([\w-]+)(?: |$)", _EXPECTED.read_text(), re.MULTILINE))
    passed = _scenarios(host.run("conformance", "server", *options, seconds=240))
    required = _required(host, requirements)
    assert len(required) == scenarios
    assert {name for name in required if not passed[name]} == expected
