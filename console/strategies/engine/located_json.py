"""JSON that remembers where each value stands, so that what is wrong with one can be said by its line."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from json import scanner
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """What is wrong, and where. ``line`` and ``column`` count from 1; ``path`` is as in ``entry.all[0].left``."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"Line {self.line}, column {self.column}"
        return f"{where}, {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Node:
    value: Any
    start: int


class NotJson(ValueError):
    def __init__(self, problem: RuleProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class LocatedJson:
    """``value`` is what the text says, its numbers as Decimal."""

    def __init__(self, text: str) -> None:
        """Raises NotJson."""
        self._text = text
        self._repeated: list[tuple[str, int]] = []
        self._starts: dict[Path, int] = {}
        try:
            root = _Decoder().decode(text)
        except json.JSONDecodeError as error:
            raise NotJson(RuleProblem(error.lineno, error.colno, "", f"This is not JSON: {error.msg}.")) from None
        except RecursionError:
            raise NotJson(RuleProblem(1, 1, "", "This is not JSON for rules: it is nested too deeply.")) from None
        self.value = self._plain(root, ())

    def problem(self, path: Path, message: str) -> RuleProblem:
        """At the value of that path, or at the nearest that there is around it."""
        known = path
        while known and known not in self._starts:
            known = known[:-1]
        start = self._starts[known]
        line = self._text.count("\n", 0, start) + 1
        return RuleProblem(line, start - self._text.rfind("\n", 0, start), path_text(path), message)

    def repeated(self) -> Iterator[RuleProblem]:
        """Names that one object has twice."""
        for name, start in self._repeated:
            line = self._text.count("\n", 0, start) + 1
            yield RuleProblem(line, start - self._text.rfind("\n", 0, start), "", f"{name[:40]!r} is here twice.")

    def _plain(self, node: _Node, path: Path) -> Any:
        self._starts[path] = node.start
        if isinstance(node.value, _Pairs):
            found: dict[str, Any] = {}
            for name, child in node.value.pairs:
                if name in found:
                    self._repeated.append((name, child.start))
                found[name] = self._plain(child, (*path, name))
            return found
        if isinstance(node.value, list):
            return [self._plain(child, (*path, place)) for place, child in enumerate(node.value)]
        return node.value


def path_text(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: list[tuple[str, _Node]]


class _Decoder(json.JSONDecoder):
    """The standard library's own parser in Python, whose every value comes with its place."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_Pairs, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        scan: Callable[[str, int], tuple[Any, int]] = scanner.py_make_scanner(self)  # type: ignore[attr-defined]
        inner_object, inner_array = json.decoder.JSONObject, json.decoder.JSONArray  # type: ignore[attr-defined]

        def located(text: str, start: int) -> tuple[_Node, int]:
            value, end = scan(text, start)
            return _Node(value, start), end

        self.parse_object = lambda begun, strict, _, *rest: inner_object(begun, strict, located, *rest)
        self.parse_array = lambda begun, _: inner_array(begun, located)
        scan = scanner.py_make_scanner(self)  # type: ignore[attr-defined]
        self.scan_once = located


def _refuse(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not a number", name, 0)
