"""Who has to say yes to what was prepared, told to the app that prepared it."""

from typing import Any

from console.connections.models import Connection
from console.orders.models import Confirmation
from console.principal import Redeemer
from mcpserver.context import ToolCall
from mcpserver.tools.render import moment


def who_decides(
    call: ToolCall,
    confirmation: Confirmation,
    connection: Connection,
    *,
    url: str,
    what: str = "it",
    effect: str = "sends it",
    following: str = "get_order_status",
) -> dict[str, Any]:
    """Who, until when and to what. The id goes to whoever may use it, and no model reads it else.

    ``url``: where its owner sees it. ``effect``: of a yes. ``following``: the tool that tells what became of it.
    """
    decided_by = confirmation.decided_by(connection)
    by = {"confirmation_id": confirmation.public_id}
    match decided_by:
        case Redeemer.APP:
            status = "needs_confirmation"
            told = "Show the summary to the user; call confirm_trade only after they agree."
        case Redeemer.USER:
            status = "needs_answer"
            told = (
                f"Waiting for the user's answer in their client, and only their answer there {effect}; you cannot "
                f"confirm it. Then call {following}."
            )
        case Redeemer.OWNER:
            status = "needs_approval"
            by["approve_at"] = url
            told = (
                f"The owner must approve {what} in the console at {url} before it expires; you cannot confirm it. "
                f"Then call {following}."
            )
    if decided_by is not Redeemer.APP and call.principal.redeemer is Redeemer.APP:
        del by["confirmation_id"]
    return {
        "status": status,
        **by,
        "expires_at": moment(confirmation.expires_at),
        "summary": confirmation.terms["summary"],
        "next": f"Nothing was sent. {told}",
    }
