"""One instance and one home for each host, and the table of what was seen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.hosts.scripted import recording
from tests.hosts.scripted.conversation import Step
from tests.hosts.scripted.hosts import HOSTS, Host, Ran, Ready
from tests.hosts.scripted.model import ScriptedModel
from tests.hosts.scripted.table import Table
from tests.serving import Server, serve

_TABLE = pytest.StashKey[Table]()
# So few that a test can use them up, and more than the other tests of one host make in a minute.
CALLS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Played:
    """A script that a host's model has played."""

    model: ScriptedModel
    ran: Ran

    @property
    def read(self) -> list[str]:
        return self.model.read

    def __str__(self) -> str:
        return f"it ended with {self.ran.code}; the model read {self.read}; it wrote {self.ran.said[-3000:]}"


@dataclass(frozen=True, slots=True)
class Case:
    """A host that knows an instance of its own."""

    host: Host
    folder: Path
    ready: Ready
    server: Server
    table: Table

    def with_token(self, token: str) -> "Case":
        """The same host in another home, which proves itself by an access token."""
        return replace(self, ready=_set_up(self.host, self.folder / "signed-in", self.server, token))

    def play(self, *steps: Step) -> Played:
        with ScriptedModel(steps).serving() as model:
            ran = self.ready.run(model.url)
        played = Played(model, ran)
        assert model.failures == [], played
        return played

    def note(self, column: str, cell: str) -> None:
        self.table.note(self.host.name, column, cell)

    @property
    def sent(self) -> list[dict[str, object]]:
        return list(recording.recorded(self.server.home))


def _set_up(host: Host, home: Path, server: Server, key: str) -> Ready:
    home.mkdir()
    return host.set_up(home, server, key)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = Table()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash[_TABLE]
    if table.rows:
        terminalreporter.write_line("\n".join(table.lines()))
    if table.is_whole:
        table.write()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash[_TABLE]


@pytest.fixture(scope="module", params=HOSTS, ids=lambda host: re.sub(r"\W+", "-", host.name.lower()))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, table: Table) -> Iterator[Case]:
    host: Host = request.param
    folder = tmp_path_factory.mktemp("host")
    limit = str(CALLS_PER_MINUTE)
    app = "tests.hosts.scripted.recording:application"
    with serve(folder / "home", app=app, TRADELATCH_CALLS_PER_MINUTE=limit) as server:
        ready = _set_up(host, folder / "with-a-key", server, server.quickstart["paper_key_trade"])
        yield Case(host, folder, ready, server, table)
