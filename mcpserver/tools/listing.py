"""Lists of our own rows, newest first, a page at a time."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from console.audit import paging
from console.audit.paging import Page
from console.errors import Code, Refusal
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.tools.render import compact

USUAL = 50
"""Rows of a page where no limit was asked for, if a host shows that many whole."""
_Row = TypeVar("_Row", bound=Model)


def listed(
    name: str,
    of: str,
    found: QuerySet[_Row],
    shown: Callable[[_Row], dict[str, Any]],
    args: Mapping[str, Any],
    *,
    usual: int = USUAL,
) -> dict[str, Any]:
    """The page that ``args`` asks for with cursor and limit. ``of``: what its cursors are of. Raises Refusal."""
    page = paging.page(found, place(args), size=args.get("limit", usual))
    return of_page(name, of, page, shown, args)


def of_page(
    name: str, of: str, page: Page[_Row], shown: Callable[[_Row], dict[str, Any]], args: Mapping[str, Any]
) -> dict[str, Any]:
    """As many of its rows as fit: where no limit was asked for, as many as every host shows whole."""
    rows = [shown(each) for each in page.rows]
    rows = rows[: result_tables.how_many_fit(rows, is_default="limit" not in args)]
    following = page.rows[len(rows) - 1].pk if len(rows) < len(page.rows) else page.next_before
    return {name: rows, **compact(next_cursor=cursor(of, str(following)) if following else None)}


def place(args: Mapping[str, Any]) -> str:
    """The row its cursor names; empty for the first page. Raises Refusal for a cursor that names none."""
    text: str = args.get("cursor", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Refusal(
            Code.INVALID_ARGUMENT, "cursor must be the next_cursor from this tool's last answer.", field="cursor"
        )
    return text
