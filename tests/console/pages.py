"""What every page test needs: the text of an answer, the hidden fields of a form, rows of the activity log."""

import itertools
import re
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from console.audit.models import Call, CallOutcome
from console.connected_apps.models import ConnectedApp

_numbers = itertools.count(1)


def text_of(response: Any) -> str:
    assert isinstance(response, HttpResponse)
    return response.content.decode()


def words_of(response: Any) -> str:
    """The page as a person reads it: no tags, single spaces."""
    without_tags = re.sub(r"<[^>]+>", " ", text_of(response))
    return re.sub(r"\s+([.,?])", r"\1", re.sub(r"\s+", " ", without_tags)).strip()


def submit(browser: Browser, url: str, fields: dict[str, Any]) -> Any:
    """Open a form that works once, and send it."""
    found = re.search(r'name="once" value="([^"]+)"', text_of(browser.get(url)))
    assert found is not None, f"{url} has no such form"
    return browser.post(url, {**fields, "once": found[1]})


def log(
    app: ConnectedApp,
    *,
    tool: str = "get_quote",
    outcome: str = CallOutcome.OK,
    code: str = "",
    message: str = "",
    arguments: dict[str, Any] | None = None,
    ago: timedelta = timedelta(),
    at: datetime | None = None,
    credential: str = "",
    order_id: str = "",
) -> Call:
    return Call.objects.create(
        request_id=f"req_{next(_numbers):026d}",
        at=at or timezone.now() - ago,
        user_id=app.owner_id,
        user_label=app.owner.email,
        source=app.source,
        credential_id=credential,
        scopes=app.scopes,
        app_id=app.pk,
        app_label=app.name,
        connection_id=app.connection_id,
        connection_label=app.connection.name,
        environment=app.connection.environment,
        tool=tool,
        arguments=arguments or {},
        outcome=outcome,
        code=code,
        message=message,
        order_id=order_id,
        duration_us=84_000,
        ip="203.0.113.9",
    )
