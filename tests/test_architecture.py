"""The shape of the code, held by machine: who may import whom, and what must not be in the repository."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.patience import at_most

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("brokers", "console", "mcpserver")
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def test_imports_follow_the_contracts() -> None:
    ran = _lint_imports(ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


LAYER = "Three layers"
ORDER = "Inside console"
ENDPOINTS = "No service, model or value knows an endpoint"
WORDS = "Of brokers, mcpserver knows the words alone"
DJANGO = "Brokers know nothing of Django"
PURE = "Matching is pure"


@pytest.mark.parametrize(
    ("where", "offence", "contract"),
    [
        ("brokers/types.py", "from console import errors", LAYER),
        ("console/keys/minting.py", "from mcpserver import pipeline", LAYER),
        ("console/urls.py", "from mcpserver import asgi", LAYER),
        ("brokers/base.py", "import django", DJANGO),
        ("brokers/paper/fill_rules.py", "from brokers.paper import models", PURE),
        ("console/keys/minting.py", "from console.orders import prepare", ORDER),
        ("console/scopes.py", "from console.accounts import models", ORDER),
        ("console/homeless.py", "import json", ORDER),
        ("console/connections/linking.py", "from console.connections import views", ENDPOINTS),
        ("console/orders/prepare.py", "from console.orders import tasks", ENDPOINTS),
        ("mcpserver/pipeline.py", "from console.orders.views import orders", ENDPOINTS),
        ("mcpserver/pipeline.py", "from brokers import registry", WORDS),
    ],
)
def test_the_contracts_see_an_offence(where: str, offence: str, contract: str, tmp_path: Path) -> None:
    for path in [*SOURCES, ROOT / "pyproject.toml"]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    with (tmp_path / where).open("a") as file:
        file.write(f"\n{offence}\n")
    ran = _lint_imports(tmp_path)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert re.search(rf"^{contract}.* BROKEN", ran.stdout, re.MULTILINE), ran.stdout


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_own_packages_are_imported_at_the_top(path: Path) -> None:
    """An import inside a function only hides a cycle."""
    hidden = [
        ast.unparse(node)
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if _imports_our_own(node)
    ]
    assert hidden == []


def _imports_our_own(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] in LAYERS
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] in LAYERS for alias in node.names)


@pytest.mark.django_db
def test_the_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_file_names_a_build_machine_or_a_package_registry() -> None:
    # Put together here, so that this file does not find itself.
    machine = "|".join(("wo" + "rk", "ro" + "ot"))
    registry = "|".join(
        ("pypi" + r"\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs", "--(extra-)?index" + "-url")
    )
    pattern = re.compile(rf"(?<![\w.*:~-])/(?:{machine})/|{registry}|--find" + "-links")
    found = []
    for path in _committed():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def _committed() -> list[Path]:
    """Every file git has or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git repository")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_continuous_integration_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("make test")
