"""Why each code is given, for its page: what must have happened. What it means and what to do is in console.errors."""

from django.conf import settings

CAUSES: dict[str, str] = {
    "invalid_request": "The body was not well-formed JSON, or not a request that the protocol knows.",
    "unknown_tool": "The host remembers a tool of another server or of an older version, or the model made it up.",
    "unknown_argument": "The model or program sent an argument that is not in the tool's schema. Some hosts add "
    "arguments of their own.",
    "missing_argument": "The call left out a required argument.",
    "invalid_argument": "The value has the wrong kind or is outside the range, or two arguments contradict each other.",
    "body_too_large": "The request was larger than 256 kB.",
    "request_timeout": "The request body stopped arriving or took too long: a slow or broken connection, or a client "
    "that announced more than it sent.",
    "unsupported_media_type": "The Content-Type was not application/json, or the client does not accept JSON.",
    "origin_refused": "A browser sent the Origin of a page that is neither this server's nor one of the allowed "
    "origins.",
    "not_found": "The address or the id is wrong, the thing was deleted, or it belongs to somebody else.",
    "method_not_allowed": "The address exists, but not for this HTTP method.",
    "unauthenticated": "There was no bearer token, or it was wrong, has expired, or belongs to an app whose access "
    "has ended.",
    "wrong_audience": "An assistant's OAuth token is valid only at /mcp, and it was sent elsewhere.",
    "not_permitted": "The endpoint is reserved for another kind of credential, such as a person's own session.",
    "csrf_failed": "A request with the console's cookie came without its CSRF token, or the page was too old.",
    "re_authentication_required": "The request allows more than before, and it had no proof of presence, or one for "
    "another action or other values, or one that was already used.",
    "ip_not_allowed": "The key is restricted to certain IP addresses, and the call came from another one. If there is "
    "a proxy in front, it may not pass on the caller's address, or it is missing from "
    "TRADELATCH_TRUSTED_PROXIES.",
    "insufficient_scope": "The app can only read, and the call needs the scope to trade.",
    "toolset_off": "The app's owner switched this toolset off.",
    "not_offered_by_broker": "The connection's broker does not offer this, or not through its API.",
    "trading_disabled": "The connection was linked without trading, its owner switched trading off, or its key can "
    "withdraw.",
    "app_paused": "The owner, or the app itself, paused the app.",
    "app_revoked": "The owner revoked the app's access, the connection was unlinked, or the app signed out.",
    "connection_paused": "The owner paused the whole connection.",
    "live_frozen": "The account was recovered by an e-mail link within the last 24 hours.",
    "halted": "A person or an app halted order entry for this app, account or connection, or everywhere.",
    "signal_forged": "A message to a signal address had no secret or signature, or a wrong one: another program sent "
    "it, or its text was copied from another address.",
    "signal_repeated": "A message to a signal address had the id of an earlier one, or without ids the same text "
    "within the time that the address allows: its sender sent it twice, or somebody sent a copy.",
    "signal_late": "By its own time, a signal was sent longer ago than its address allows, or in the future; or it "
    "came in time and no worker prepared it within 60 seconds.",
    "signal_unreadable": "The text of a signal is no JSON or no list of name=value, lacks a value that its address "
    "expects, or has one that is no number, side or time.",
    "rate_limited": "There were more calls in a minute than the instance allows, counted over all apps of a user, or "
    "per app for cancels and lists. Each console session and each management key is counted "
    "separately.",
    "unknown_user": "The user_id is wrong, belongs to another platform, or was disabled.",
    "connection_required": "A token acts on one connection, and the user has none or more than one.",
    "unknown_symbol": "The connection's broker has no instrument of this name. Each broker has its own symbols.",
    "ambiguous_symbol": "The symbol stands for several listings or contracts, such as the root of a future.",
    "unknown_account": "The account_id is wrong, or belongs to another connection.",
    "unknown_order": "The order id is wrong, or belongs to another connection.",
    "invalid_order": "Price or quantity does not fit the instrument's tick, lot or minimum, or the order's terms "
    "contradict each other. Orders are never rounded.",
    "insufficient_funds": "The order and its fee cost more than the account's buying power; open orders reserve part "
    "of it.",
    "insufficient_position": "The order sells more than the account holds, or other open orders already sell the "
    "position.",
    "market_closed": "The exchange of the instrument is closed, and the order cannot wait until it opens.",
    "stale_quote": "The latest price is too old for an order that fills at the market.",
    "no_rate": "The broker quotes no exchange rate between the two currencies.",
    "price_moved": "After the order was shown, the market moved further than allowed from the price that was shown.",
    "not_cancellable": "The order was filled, cancelled, rejected or expired before the cancel arrived.",
    "not_modifiable": "The order has not reached the broker, has ended, or is already being changed.",
    "no_position": "The account holds nothing of this instrument.",
    "position_unreadable": "A row in the broker's list of positions has something that this version does not know.",
    "trigger_already_met": "The market has reached the order's stop price already, so it would not wait for it.",
    "exit_on_wrong_side": "A take profit or stop loss lies where the market, or the order's entry, has passed it.",
    "position_changed": "The order was sized by a position that has changed since the order was shown.",
    "duplicate_order_id": "The same client_order_id was sent before, with other terms.",
    "approval_required": "The policy of the connection is owner approval. No app or token can release orders or "
    "cancel protective orders there.",
    "user_is_asked": "The user was asked about the order in their client and has not answered yet.",
    "waits_for_owner": "The order, or the cancel of a protective order, is waiting for the owner under Approvals.",
    "owners_order": "The owner placed the order in the console, so apps cannot change it.",
    "another_apps_order": "Each app can change only its own orders, and another app placed this one.",
    "confirmation_unknown": "The confirmation_id is wrong, or another app prepared the order.",
    "confirmed_too_soon": "The app confirmed the order right after preparing it, and the connection has a minimum time "
    "between the two: 3 seconds with real money, unless its owner set another.",
    "confirmation_expired": "Nobody confirmed before the order's `expires_at`, usually "
    f"{settings.CONFIRMATION_SECONDS} seconds after it was shown.",
    "confirmation_used": "A confirmation works once, and this one has already released its order.",
    "confirmation_changed": "The stored order does not match what was shown when it was prepared.",
    "rejected_by_owner": "The owner reviewed the order in the console and declined it.",
    "limit_exceeded": "The order would exceed a limit of the connection or the app.",
    "outside_limits": "A limit allows only certain symbols, kinds of instrument, order types or hours.",
    "price_outside_collar": "The order's price is further from the last price than the price collar allows, or, with "
    "real money, its limit price is more than 2% through the best price.",
    "limit_unprovable": "A limit needs a price, balance or exchange rate that was not available. When a limit cannot "
    "be checked, the order is refused.",
    "limits_required": "The connection is live and has no limit for one order or for a day.",
    "broker_rejected": "The order reached the broker, and the broker refused it.",
    "broker_unavailable": "The broker did not answer, could not be reached, or has too many calls waiting already.",
    "broker_sign_in_refused": "The key was deleted or changed at the broker, or is restricted to other IP addresses.",
    "broker_needs_login": "The broker's session ended. Interactive Brokers ends it about once a day.",
    "broker_permission_missing": "The key lacks a permission at the broker.",
    "broker_busy": "The broker limits calls per key, and the limit was reached.",
    "broker_asks": "The broker wants a person to answer a question, such as a warning about size or price.",
    "question_unanswered": "The broker asked about the order or its change, and the time to answer ran out.",
    "outcome_unknown": "The order was sent, but the connection broke or the broker failed before its answer arrived.",
    "audit_unavailable": "The database could not write the record of the call, for example because the disk is full.",
    "database_unavailable": "The database could not be reached or written: it restarts, is full, or is overloaded.",
    "internal_error": "A fault in Tradelatch. The server's log has it under the request id.",
}
