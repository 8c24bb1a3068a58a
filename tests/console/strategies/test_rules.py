"""Rules of strategies: what they may say, and what is told of those that say it wrong."""

import copy
import json
import random
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from console.strategies import services
from console.strategies.engine import rules
from console.strategies.engine.rules import NotRules
from tests.console.strategies.support import DOWN, UP, parsed, written


def problems(text: str) -> list[str]:
    with pytest.raises(NotRules) as wrong:
        rules.parse(text)
    return [str(each) for each in wrong.value.problems]


def is_valid(value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(rules.schema()).is_valid(value))


def test_each_problem_is_told_with_its_line_and_its_path() -> None:
    text = """{
  "name": "Rules",
  "universe": ["AAPL", "aapl"],
  "timeframe": "2h",
  "entry": {
    "all": [
      {"left": "SMA(20)", "is": "over", "right": "SMA(500)"},
      {"left": "close", "is": "above", "rigth": 100}
    ]
  },
  "size": {"percent_of_equity": 150},
  "stop": {"percent": 5, "amount": 3}
}"""
    assert problems(text) == [
        "Line 3, column 24, universe[1]: AAPL is in the list twice.",
        "Line 4, column 16, timeframe: It must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d.",
        "Line 7, column 33, entry.all[0].is: It must be one of above, below, at_least, at_most, crosses_above, "
        "crosses_below.",
        "Line 7, column 50, entry.all[0].right: The lengths of SMA must be whole numbers from 2 to 200.",
        "Line 8, column 7, entry.all[1]: right is missing.",
        "Line 8, column 49, entry.all[1].rigth: 'rigth' is unknown here; known are is, left, right.",
        "Line 11, column 33, size.percent_of_equity: At most 100 percent: nothing is borrowed.",
        "Line 12, column 11, stop: It must have exactly one of percent, amount, atr.",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Line 1, column 1: This is not JSON: Expecting value."),
        ('{\n "name" "x"\n}', "Line 2, column 9: This is not JSON: "),
        ('{"name": NaN}', "Line 1, column 1: This is not JSON: NaN is not a number."),
        ("[1]", "Line 1, column 1: It must be an object in braces."),
        ("[" * 9_000, "Line 1, column 1: This is not JSON for rules: it is nested too deeply."),
        (" " * 20_001, "Line 1, column 1: Rules can have at most 20,000 characters; these have 20,001."),
    ],
)
def test_what_is_no_rules_at_all_is_told_once(text: str, told: str) -> None:
    [found] = problems(text)
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"exit": None}, "A position would never end: add exit, stop, target, trailing or hold."),
        ({"stop": {"percent": 1}, "trailing": {"percent": 1}}, "trailing: A position has one stop"),
        ({"size": {"risk_percent": 1}}, "size: risk_percent is measured to the stop"),
        ({"target": {"times_risk": 2}}, "target: times_risk is measured to the stop"),
        ({"trailing": {"percent": 100}}, "trailing.percent: It must be less than 100 percent."),
        ({"entry": {"left": 1, "is": "above", "right": 2}}, "entry: It compares two numbers"),
        (
            {"entry": {"left": "MACD(12,26,9)", "is": "above", "right": 2}},
            "MACD(12,26,9) has more than one line: write",
        ),
        ({"entry": {"left": "PRICE", "is": "above", "right": 2}}, "entry.left: 'PRICE' is not a number, one of open,"),
        ({"entry": {"left": {"value": "ATR(5)", "against": "X"}, "is": "above", "right": 2}}, "only closes to compare"),
        (
            {"entry": {"left": {"value": "5", "ago": 2}, "is": "above", "right": "close"}},
            "5 is a number: it has no bars",
        ),
        (
            {"entry": {"left": {"value": "close", "ago": 51}, "is": "above", "right": 2}},
            "ago: It must be a whole number",
        ),
        ({"entry": {"not": {"not": {"not": {"not": {"not": UP}}}}}}, "Conditions can be at most 5 deep."),
        ({"entry": {"any": [{"any": [UP] * 20}] * 3}}, "Rules can have at most 50 comparisons."),
        ({"size": {"worth": "1e400"}}, "size.worth: It must be a number greater than 0"),
        ({"size": {"quantity": "0.0000000000001"}}, "size.quantity: It must be a number greater than 0"),
        ({"sessions": {"from": "9:30", "to": "16:00"}}, "sessions.from: It must be a time of the day such as 09:30."),
        ({"sessions": {"zone": "Mars/North"}}, "sessions.zone: It must be the name of a time zone"),
        ({"universe": [f"S{place}" for place in range(21)]}, "universe: It must be a list of 1 to 20 symbols."),
        ({"name": "two\nlines"}, "name: It must be one line of text"),
    ],
)
def test_what_does_not_go_together_is_told(changed: dict[str, Any], told: str) -> None:
    assert any(told in each for each in problems(json.dumps(written(**changed)))), problems(
        json.dumps(written(**changed))
    )


def test_a_name_that_is_there_twice_is_told() -> None:
    text = json.dumps(written())[:-1] + ', "name": "Again"}'
    assert "'name' is here twice." in problems(text)[0]


def test_numbers_are_taken_as_text_or_as_numbers_and_stay_exact() -> None:
    assert parsed(size={"worth": "1000.10"}).size == parsed(size={"worth": 1000.10}).size
    assert str(parsed(size={"worth": "1000.10"}).size) == "1000.10"


@pytest.mark.parametrize("name", list(services.library()))
def test_each_of_the_library_is_right_by_the_checker_and_by_the_schema(name: str) -> None:
    text = services.rules_of_library(name)
    assert rules.in_words(rules.parse(text).entry)
    assert is_valid(json.loads(text))


def test_the_library_has_twelve() -> None:
    assert len(services.library()) == 12


def test_what_the_schema_refuses_the_checker_refuses_too() -> None:
    """The library with one value of each changed, taken out or put in, many times."""
    draw = random.Random(17)  # noqa: S311 - repeatable, no secret
    refused = 0
    for _ in range(600):
        made = copy.deepcopy(draw.choice(list(services.library().values())))
        spoil(made, draw)
        if not is_valid(made):
            refused += 1
            with pytest.raises(NotRules):
                rules.parse(json.dumps(made))
    assert refused > 300


def spoil(made: Any, draw: random.Random) -> None:
    while True:
        inside = list(made) if isinstance(made, dict) else list(range(len(made)))
        place = draw.choice(inside)
        if not isinstance(made[place], dict | list) or not made[place] or draw.random() < 0.3:
            break
        made = made[place]
    wrong: Any = draw.choice([None, True, -1, 0, "", [], {}, "x" * 900, 10**13, {"unknown": 1}])
    kind = draw.random()
    if kind < 0.3 and isinstance(made, dict):
        del made[place]
    elif kind < 0.5 and isinstance(made, dict):
        made["unknown"] = wrong
    else:
        made[place] = wrong


def test_conditions_are_told_in_words() -> None:
    entry = {
        "all": [UP, {"any": [DOWN, {"not": {"left": {"value": "SMA(5)", "ago": 2}, "is": "at_least", "right": "7"}}]}]
    }
    assert rules.in_words(parsed(entry=entry).entry) == (
        "close above 100 and (close below 100 or not (SMA(5) 2 bars ago at least 7))"
    )
