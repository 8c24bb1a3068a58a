"""The documentation promises what the code does: tables are current, and every path and link in it exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.text import slugify

from console.errors import Code
from console.help.causes import CAUSES
from console.help.environment import VARIABLES
from console.onboarding import hosts
from console.onboarding.guide import Place
from console.orders import states
from tests import pictures, reference

ROOT = Path(__file__).parents[1]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
READERS = [path for path in TEXTS if path.name != "CHANGELOG.md"]
_PATH = re.compile(r"`((?:brokers|console|mcpserver|templates|tests|docs)/[\w./<>-]*|[\w-]+\.(?:toml|lock))`")
_KEPT_IN_THE_HOME = ("SECRET_KEY", "SEED_KEYS", "VAULT_KEYS", "PLATFORM_SIGNING_KEY", "PUSH_KEY")
BY_HOME = {f"TRADELATCH_{name}" for name in _KEPT_IN_THE_HOME}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_text = pytest.mark.parametrize("path", READERS, ids=name_of)


def test_what_is_generated_is_current() -> None:
    stale = [name_of(path) for path, text in reference.written().items() if path.read_text() != text]
    assert stale == [], "run make docs"


def test_the_picture_of_statuses_is_refused_where_it_lacks_a_move() -> None:
    more = states.MOVES | {states.Status.FILLED: frozenset({states.Status.WORKING})}
    with pytest.raises(ValueError, match="FILLED"):
        pictures.order_states(more)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 10_000


@each_text
def test_every_path_named_in_it_exists(path: Path) -> None:
    named = [found[1] for found in _PATH.finditer(path.read_text())]
    assert [each for each in named if "<" not in each and not _is_there(each)] == []


def _is_there(named: str) -> bool:
    """A file or a folder; of a module the ending may be left out."""
    return (ROOT / named).exists() or (ROOT / f"{named}.py").is_file()


@each_text
def test_every_link_in_it_leads_somewhere(path: Path) -> None:
    assert [link for link in _links(path.read_text()) if not _leads(path, link)] == []


def _links(text: str) -> Iterator[str]:
    for found in re.finditer(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if not re.match(r"https?:", found[1]):
            yield found[1]


def _leads(path: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.is_file():
        return False
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
    return not anchor or anchor in {slugify(heading) for heading in headings}


def test_every_page_is_in_the_table_of_contents() -> None:
    linked = {
        (path.parent / link.partition("#")[0]).resolve()
        for path in (ROOT / "docs/README.md", ROOT / "docs/decisions/README.md")
        for link in _links(path.read_text())
    }
    pages = {path.resolve() for path in ROOT.glob("docs/**/*.md")} - {(ROOT / "docs/README.md").resolve()}
    assert {name_of(path) for path in pages - linked} == set()


def test_every_recipe_names_the_files_of_its_kind() -> None:
    recipes = dict(
        re.findall(r"^### Add an? (.+?)\n(.*?)(?=^###? |\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.M)
    )
    kinds = {"broker", "tool", "order term", "order class", "limit", "scope", "error code", "setting", "page", "host"}
    kinds |= {
        "audit field",
        "e-mail",
        "kind of news",
        "notification channel",
        "kind of OAuth client",
        "periodic task",
        "CSV column",
    }
    assert set(recipes) == kinds
    assert [kind for kind, text in recipes.items() if not _PATH.search(text)] == []


def test_the_program_is_the_one_of_the_setup_guide() -> None:
    program = hosts.python_program(Place(public_url="http://localhost:8000"))
    assert f"```python\n{program}\n```" in (ROOT / "docs/use/connect.md").read_text()


@each_text
def test_every_program_in_it_is_python(path: Path) -> None:
    for program in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        compile(program, name_of(path), "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_setting_read_from_the_environment_is_documented_and_the_other_way_round() -> None:
    read = set()
    for file in [*ROOT.glob("console/**/*.py"), *ROOT.glob("mcpserver/**/*.py"), *ROOT.glob("brokers/**/*.py")]:
        if file != ROOT / "console/help/environment.py":
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    read |= set(re.findall(r"^(TRADELATCH_[A-Z_]+[A-Z])$", node.value))
    documented = {name for each in VARIABLES for name in each.names if name.startswith("TRADELATCH_")}
    assert documented - BY_HOME == read


def test_the_default_of_a_number_or_a_switch_is_the_one_that_the_settings_read() -> None:
    read = {}
    for node in ast.walk(ast.parse((ROOT / "console/settings.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_number", "_flag"):
            name, default = [ast.literal_eval(each) for each in (*node.args, ast.Constant("0"))[:2]]
            read[name] = f"`{default}`"
    documented: dict[str, str] = {}
    for each in VARIABLES:
        documented |= dict(zip(each.names, each.default.split(", "), strict=False))  # "none" is said once for several
    assert {name: documented[name] for name in read} == read
    assert "TRADELATCH_CALLS_PER_MINUTE" in read


def test_every_setting_that_a_text_names_exists() -> None:
    known = {name for each in VARIABLES for name in each.names}
    for path in READERS:
        named = set(re.findall(r"`(TRADELATCH_[A-Z_]+[A-Z])", path.read_text()))
        assert named <= known, name_of(path)


def test_every_code_has_a_cause() -> None:
    assert {code.value for code in Code} <= CAUSES.keys()


def test_every_make_target_that_a_text_names_exists_and_make_help_tells_of_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = set(re.findall(r"^([a-z-]+):.*?## ", makefile, re.MULTILINE))
    for path in READERS:
        assert set(re.findall(r"`make ([a-z-]+)", path.read_text())) <= targets, name_of(path)
    assert targets - told == set()
