"""Orders and their modifications are written in one place: ``console/orders/transitions``, and made in ``prepare``."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WRITERS = ("console/orders/transitions/", "console/orders/prepare.py")
_WRITES = {
    *("create", "bulk_create", "get_or_create", "update_or_create"),
    *("update", "bulk_update", "save", "delete", "aupdate", "asave", "acreate", "adelete"),
}
_MODELS = ("Order", "Modification")
_STATEMENTS = ("Insertion", "RowUpdate")
"""Of ``brokers.compiled_queries``: they write rows of the model they are given."""
_RELATED = {"legs", "modifications", "orders"}
"""By these names an order, a confirmation, an app and a connection lead to orders and modifications."""


def test_nothing_but_the_transitions_writes_an_order() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("brokers", "console", "mcpserver")
        for path in sorted((ROOT / package).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(WRITERS) and "brokers/paper/" not in str(path)
        for line in _writes(path.read_text())
    ]
    assert found == [], "move the write into console/orders/transitions"


def test_each_way_to_write_one_is_seen() -> None:
    for way in (
        "Order.objects.filter(pk=1).update(reason='x')",
        "Order.objects.create(symbol='X')",
        "models.Modification._default_manager.all().delete()",
        "order.legs.filter(pk=1).update(reason='x')",
        "found = Order.objects.filter(pk=1)\n    found.exclude(pk=2).update(reason='x')",
        "for each in Order.objects.all():\n        each.save()",
        "order = Order.objects.get(pk=1)\n    order.save()",
        "order.save(update_fields=['reason'])",
        "rows.update(reason='x')",
        "RowUpdate(Order, 'id').make(1, reason='x')",
        "Insertion(models.Modification).create(reason='x')",
    ):
        source = f"def act(order: Order, rows: 'QuerySet[Order]') -> None:\n    {way}\n"
        assert list(_writes(source)) != [], way


def test_reading_one_and_writing_something_else_is_no_write_of_an_order() -> None:
    for way in (
        "Order.objects.filter(pk=1).values('pk')",
        "Order.objects.select_for_update().get(pk=1)",
        "Question.objects.filter(order=order).update(answer='x')",
        "fields = {}\n    fields.update(order=order.public_id)",
    ):
        assert list(_writes(f"def act(order: Order) -> None:\n    {way}\n")) == [], way


def _writes(source: str) -> Iterator[int]:
    tree = ast.parse(source)
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))):
        names = _names(scope)
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in _STATEMENTS and node.args:
                if ast.unparse(node.args[0]).rpartition(".")[2] in _MODELS:
                    yield node.lineno
            elif not isinstance(node.func, ast.Attribute):
                continue
            elif node.func.attr in _WRITES and _is_orders(node.func.value, names):
                yield node.lineno


def _names(scope: ast.AST) -> set[str]:
    """Names that stand for an order, a modification, or several of them."""
    names: set[str] = set()
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        every = (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)
        names |= {each.arg for each in every if each.annotation is not None and _says_order(each.annotation)}
    if isinstance(scope, ast.Module):
        return names
    for _ in range(3):  # a name by way of another
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and _is_orders(node.value, names):
                names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            elif (
                isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _says_order(node.annotation)
            ) or (isinstance(node, ast.For) and isinstance(node.target, ast.Name) and _is_orders(node.iter, names)):
                names.add(node.target.id)
            elif isinstance(node, ast.NamedExpr) and _is_orders(node.value, names):
                names |= {each.id for each in [node.target] if isinstance(each, ast.Name)}
    return names


def _says_order(annotation: ast.expr) -> bool:
    text = ast.unparse(annotation).strip("'\"")
    kinds = ("{}", "{} | None", "QuerySet[{}]", "QuerySet[{}, {}]", "list[{}]", "Sequence[{}]", "Iterable[{}]")
    return text in {kind.format(name, name) for kind in kinds for name in _MODELS}


def _is_orders(node: ast.expr, names: set[str]) -> bool:
    """Whether the expression is an order, a modification or a query set of them."""
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("values", "values_list", "count", "exists", "aggregate", "dates", "datetimes"):
                return False
            node = node.func.value
        elif isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Attribute):
            if node.attr in ("objects", "_default_manager", "_base_manager"):
                return ast.unparse(node.value).rpartition(".")[2] in _MODELS
            return node.attr in _RELATED
        else:
            return isinstance(node, ast.Name) and node.id in names
