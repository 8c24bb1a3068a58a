"""Notes on round trips and orders."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from console.connections.models import Connection
from console.errors import Code, Refusal
from console.journal import queries as journal_queries
from console.journal.models import Note
from console.untrusted_text import check_text

MOST = 50
"""Notes on one thing: a model in a loop must not fill the disk."""
MOST_TAGS = 10
LONGEST, LONGEST_TAG = 1000, 40


@transaction.atomic
def add(
    connection_id: int, about: str, text: str, tags: Iterable[str] = (), *, by: str, app_id: int | None = None
) -> Note:
    """Keep a note; the same words of the same writer on the same thing are kept once, with the newest tags.

    Raises Refusal for what is no round trip or order of the connection, for characters that cannot be seen, and where
    there are too many notes.
    """
    text = check_text(text, field="text", what="note", lines=True)
    tags = [check_text(tag, field="tags", what="tag") for tag in tags]
    Connection.objects.select_for_update().get(pk=connection_id)
    if journal_queries.target(connection_id, about) is None:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "This connection has no round trip and no order with that id. Use a trade_id of get_journal_trades or an "
            "order_id of get_orders.",
            field="id",
        )
    kept = list(dict.fromkeys(tag.strip().lower()[:LONGEST_TAG] for tag in tags if tag.strip()))[:MOST_TAGS]
    mine = Note.objects.filter(connection_id=connection_id, about=about)
    same = mine.filter(text=text, app_id=app_id, by=by).first()
    if same is not None:
        if kept and same.tags != kept:
            same.tags = kept
            same.save(update_fields=["tags"])
        return same
    if mine.count() >= MOST:
        raise Refusal(Code.INVALID_REQUEST, f"There are already {MOST} notes on it, the maximum.", field="id")
    return Note.objects.create(
        connection_id=connection_id, about=about, at=timezone.now(), text=text, tags=kept, app_id=app_id, by=by[:255]
    )
