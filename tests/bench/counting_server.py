"""The whole of Tradelatch with a count of its SQL statements: what ``order`` starts, of this revision or of another.

Found by its bare name, from this folder on PYTHONPATH, so that another revision runs under it without having it. The
audit log's own insert, which one thread makes for all calls, goes past Django's cursors and is not counted.
"""

import itertools
import json
from typing import Any

from django.db.backends.signals import connection_created
from starlette.types import Receive, Scope, Send

from console.asgi import application as counted

PATH = "/bench/statements"
_statements = itertools.count()
_looks = itertools.count()


def _count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    next(_statements)
    return execute(sql, params, many, context)


def _watch(connection: Any, **_: object) -> None:
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


connection_created.connect(_watch)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http" or scope["path"] != PATH:
        await counted(scope, receive, send)
        return
    # Reading a counter takes one from it.
    body = json.dumps(next(_statements) - next(_looks)).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
