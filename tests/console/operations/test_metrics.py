"""``/metrics``: for who has the token, without anybody's name in it, and the same format that Prometheus reads."""

import re
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from console.audit import call_counts
from console.operations import figures as prometheus_figures
from tests import serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.secrets.known import keep
from tests.serving import Server

TOKEN = keep("token of /metrics", "metrics-0123456789")


@pytest.fixture(scope="module", params=["console.asgi:application", "mcpserver.asgi:application"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The whole web server, and ``/mcp`` alone."""
    home = tmp_path_factory.mktemp("metrics") / "home"
    with serving.serve(home, app=request.param, TRADELATCH_METRICS_TOKEN=TOKEN) as started:
        yield started


def get(server: Server, token: str | None) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{server.url}/metrics", headers=headers, timeout=at_most(20))


def figures(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {sample.labels[name]}" for name in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_who_has_the_token_reads_figures_that_name_nobody(either: Server) -> None:
    assert [get(either, token).status_code for token in (None, "x", "wrong-0123456789", TOKEN[:-1])] == [401] * 4
    Wire(either.mcp_url, either.quickstart["paper_key_read"]).result("self_test", {})
    Wire(either.mcp_url, either.quickstart["paper_key_read"]).call("no_such_tool", {})
    with sqlite3.connect(either.home / "tradelatch.sqlite3") as database:
        database.execute("UPDATE operations_workerseen SET at = datetime('now')")
    answer = get(either, TOKEN)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = figures(answer.text)
    assert told["tradelatch_calls_total ok self_test"] == 1
    assert told["tradelatch_call_seconds_count self_test"] == 1
    assert told["tradelatch_database_up"] == 1
    assert told["tradelatch_open_orders"] == 0
    assert {"tradelatch_emails_waiting", "tradelatch_worker_seen_seconds", "tradelatch_queue_length"} <= told.keys()
    assert "no_such_tool" not in answer.text
    labels = set(re.findall(r'(\w+)="', answer.text))
    assert labels == {"tool", "outcome", "le", "state"}


def test_without_a_token_there_is_no_such_address(shared_server: Server) -> None:
    assert get(shared_server, None).status_code == 404
    assert get(shared_server, "x").status_code == 404


def test_a_short_token_is_refused_at_start(tmp_path: Path) -> None:
    ran = serving.manage(tmp_path / "home", 8000, "check", TRADELATCH_METRICS_TOKEN="short")
    assert ran.returncode != 0
    assert "at least 16 characters" in ran.stderr


@pytest.mark.django_db
def test_durations_fall_into_groups_and_made_up_names_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[tuple[str, str], list[int]] = {}
    monkeypatch.setattr(call_counts, "counts", counts)
    for microseconds in (1_000, 1_001, 9_000_000):
        call_counts.count("get_quote", "ok", microseconds)
    told = figures(prometheus_figures.text(0.0)[1].decode())
    assert told["tradelatch_call_seconds_bucket 0.001 get_quote"] == 1
    assert told["tradelatch_call_seconds_bucket 0.0025 get_quote"] == 2
    assert told["tradelatch_call_seconds_bucket 5.0 get_quote"] == 2
    assert told["tradelatch_call_seconds_bucket +Inf get_quote"] == 3
    assert Decimal(str(told["tradelatch_call_seconds_sum get_quote"])) == Decimal("9.002001")
    for number in range(2_000):
        call_counts.count(f"name {number}", "error", 1)
    assert len(counts) <= 501
    assert counts["other", "error"][0] > 1_000
