"""What is in ``deploy/`` can be read by what it is for, starts what is in the tree, and sets what there is to set."""

import configparser
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils.module_loading import import_string
from django.utils.text import slugify

from console.help.environment import VARIABLES
from console.http_protocol import BoundedHttpProtocol
from console.operations import health, metrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROCESSES = {"web", "mcp", "worker", "scheduler"}
KNOWN = {name for each in VARIABLES for name in each.names}
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "tradelatch.yaml").read_text()))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "systemd" / f"tradelatch-{name}.service")
    return parser


def container(part: str) -> dict[str, Any]:
    (found,) = [
        each for each in KUBERNETES if each["metadata"]["name"] == f"tradelatch-{part}" and "template" in each["spec"]
    ]
    (only,) = found["spec"]["template"]["spec"]["containers"]
    return dict(only)


def compose_command(part: str) -> list[str]:
    default = json.loads(re.findall(r"^CMD (\[.+\])", DOCKERFILE, re.MULTILINE)[0])
    return [str(each) for each in COMPOSE["services"][part].get("command", default)]


COMMANDS = {
    **{f"compose {part}": compose_command(part) for part in [*PROCESSES, "migrate"]},
    **{f"kubernetes {part}": [str(each) for each in container(part)["command"]] for part in [*PROCESSES, "migrate"]},
    **{f"systemd {part}": unit(part)["Service"]["ExecStart"].split() for part in [*PROCESSES, "migrate"]},
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_starts_what_is_in_the_tree(name: str) -> None:
    program, *words = COMMANDS[name]
    if program.endswith("uvicorn"):
        assert callable(import_string(words[-1].replace(":", ".")))
        assert {"--no-proxy-headers", "--timeout-graceful-shutdown"} <= set(words)
        assert import_string(words[words.index("--http") + 1].replace(":", ".")) is BoundedHttpProtocol
    elif program.endswith("celery"):
        assert words[:2] == ["-A", "console"]
        assert words[2] == ("worker" if name.endswith("worker") else "beat")
        # A forked child would inherit the pool of connections.
        assert "threads" in words or words[2] == "beat"
    else:
        assert (program.rpartition("/")[2], words[0]) == ("python", "manage.py")
        assert list(ROOT.glob(f"console/**/management/commands/{words[1]}.py"))


def test_what_the_image_copies_is_there_and_is_not_ignored() -> None:
    copied = {
        each for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for each in line.split()
    }
    assert [each for each in copied if not (ROOT / each).exists()] == []
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)


def test_every_setting_that_is_set_exists() -> None:
    files = [file for file in DEPLOY.rglob("*") if file.is_file() and "examples" not in file.parts]  # other programs
    texts = "".join(file.read_text() for file in files)
    named = set(re.findall(r"\bTRADELATCH_[A-Z_]+\b", texts)) - {"TRADELATCH_HOSTNAME"}
    assert named - KNOWN == set()


def test_compose_asks_for_what_the_example_has_and_lets_nothing_be_written() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked == set(re.findall(r"^(\w+)=", (DEPLOY / "example.env").read_text(), re.MULTILINE))
    services = COMPOSE["services"]
    assert services.keys() == PROCESSES | {"migrate", "postgres", "redis", "caddy"}
    for part in PROCESSES:
        assert services[part]["read_only"] is True
        assert services[part]["cap_drop"] == ["ALL"]
    proxy = services["caddy"]["networks"]["inside"]["ipv4_address"]
    assert services["web"]["environment"]["TRADELATCH_TRUSTED_PROXIES"] == proxy


def test_kubernetes_asks_the_health_addresses_and_runs_without_rights() -> None:
    for part in PROCESSES:
        one = container(part)
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        probes = {one[each]["httpGet"]["path"] for each in one if each.endswith("Probe")}
        assert probes == (set(health.PATHS) if part in ("web", "mcp") else set())


def test_caddy_passes_streams_on_and_keeps_figures_inside() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    assert "flush_interval -1" in text
    assert f"path {metrics.PATH} {health.READY}" in text


def test_dashboard_and_alerts_name_figures_that_there_are_and_each_alert_has_its_lines() -> None:
    source = (ROOT / "console" / "operations" / "figures.py").read_text()
    there = set(re.findall(r'"(tradelatch_\w+)"', source)) | {
        f"tradelatch_database_{name}" for name in re.findall(r'\("(\w+)", "', source)
    }
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((DEPLOY / "grafana" / "tradelatch.json").read_text())["panels"]
    asked = [each["expr"] for each in alerts] + [each["targets"][0]["expr"] for each in panels]
    for expression in asked:
        for name in re.findall(r"tradelatch_\w+", expression):
            assert re.sub(r"_(total|bucket)$", "", name) in there, name
    document = (ROOT / "docs" / "operate" / "deploying.md").read_text()
    headings = {slugify(each) for each in re.findall(r"^### (.+)$", document, re.MULTILINE)}
    assert {each["annotations"]["runbook"] for each in alerts} == {
        f"docs/operate/deploying.md#{each}" for each in headings
    }
    assert yaml.safe_load((DEPLOY / "prometheus" / "scrape.yaml").read_text())[0]["job_name"] == "tradelatch"
