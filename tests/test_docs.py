"""README promises what the code does."""

import ast
import re
from pathlib import Path

from console.onboarding import hosts
from console.onboarding.guide import Place
from tests import readme

ROOT = Path(__file__).parents[1]


def test_the_tables_of_tools_statuses_and_codes_are_those_of_the_code() -> None:
    text = readme.README.read_text()
    assert readme.rendered(text) == text, "run python -m tests.readme"


def test_the_program_is_the_one_of_the_setup_guide() -> None:
    assert (
        f"```python\n{hosts.python_program(Place(public_url='http://localhost:8000'))}\n```"
        in readme.README.read_text()
    )


def test_every_setting_read_from_the_environment_is_documented_and_the_other_way_round() -> None:
    read = set()
    for file in [*ROOT.glob("console/**/*.py"), *ROOT.glob("mcpserver/**/*.py"), *ROOT.glob("brokers/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                read |= set(re.findall(r"^(TRADELATCH_[A-Z_]+[A-Z])$", node.value))
    documented = set(re.findall(r"`(TRADELATCH_[A-Z_]+)`", readme.README.read_text()))
    by_home = {f"TRADELATCH_{name}" for name in ("SECRET_KEY", "SEED_KEYS", "VAULT_KEYS", "PLATFORM_SIGNING_KEY")}
    assert documented - by_home == read
