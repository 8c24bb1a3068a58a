"""Why each code is given, for its page: what must have happened. What it means and what to do is in console.errors."""

CAUSES: dict[str, str] = {
    "invalid_request": "The body was not well-formed JSON, or not a request that the protocol knows.",
    "unknown_tool": "The host remembers a tool of another server or of an older version, or the model made it up.",
    "unknown_argument": "The model or program sent an argument that is not in the tool's schema. Some hosts add "
    "arguments of their own.",
    "missing_argument": "The call left out an argument that the tool cannot do without.",
    "invalid_argument": "The value has the wrong kind or is outside the range, or two arguments contradict each other.",
    "body_too_large": "The request had more than 256 kB.",
    "request_timeout": "The body of the request stopped arriving, or took too long in all: a slow or broken line, or a "
    "client that announced more than it sent.",
    "unsupported_media_type": "The Content-Type was not application/json, or the client accepts no JSON.",
    "origin_refused": "A browser sent the Origin of a page that is not this server's and not among the allowed "
    "origins.",
    "not_found": "The address or the id is wrong, the thing was deleted, or it belongs to somebody else.",
    "method_not_allowed": "The address exists, but not for this HTTP method.",
    "unauthenticated": "There was no bearer token, or it was wrong, has expired, or belongs to an app whose access "
    "has ended.",
    "wrong_audience": "An OAuth token of an assistant is for /mcp. It was sent to another address.",
    "not_permitted": "What was called is reserved for another kind of credential, such as a person's own session.",
    "csrf_failed": "A request with the console's cookie came without its CSRF token, or the page was too old.",
    "re_authentication_required": "What was asked for lets others do more, and the request held no proof made for "
    "it, or one that does not fit: of another act, of other values, or used before.",
    "ip_not_allowed": "The key is bound to a list of IP addresses, and the call came from another one. Behind a "
    "proxy, the proxy may not pass on the caller's address, or is not in TRADELATCH_TRUSTED_PROXIES.",
    "insufficient_scope": "The app was allowed to read, and what it called needs the scope to trade.",
    "toolset_off": "The owner of the app switched this set of tools off.",
    "not_offered_by_broker": "The broker of this connection has no such function, or not in its interface.",
    "trading_disabled": "The connection was linked without trading, its owner switched trading off, or its key may "
    "withdraw.",
    "app_paused": "The owner, or the app itself, paused the app.",
    "app_revoked": "The owner took the app's access back, the connection was unlinked, or the app gave its access up.",
    "connection_paused": "The owner paused the whole connection.",
    "live_frozen": "The account was recovered by an e-mail link within the last 24 hours.",
    "halted": "A person or an app halted order entry for this app, account or connection, or everywhere.",
    "rate_limited": "More calls came in a minute than the instance allows: of all apps of one user together, or of one "
    "app for cancels and lists. A console session and each management key are counted by themselves.",
    "unknown_user": "The user_id is wrong, belongs to another platform, or was disabled.",
    "connection_required": "A token acts on one connection, and the user has none or more than one.",
    "unknown_symbol": "The connection's broker has no instrument of this name. Each broker has its own symbols.",
    "ambiguous_symbol": "The name stands for several listings or contracts, such as the root of a future.",
    "unknown_account": "The account_id is wrong, or belongs to another connection.",
    "unknown_order": "The order id is wrong, or belongs to another connection.",
    "invalid_order": "Price or quantity does not fit the instrument's tick, lot or minimum, or the order's terms "
    "contradict each other. Orders are never rounded.",
    "insufficient_funds": "The order with its fee costs more than the account's buying power, of which open orders "
    "hold a part.",
    "insufficient_position": "The order sells more than is held, or other open orders already offer the position.",
    "market_closed": "The exchange of the instrument is closed, and the order cannot wait until it opens.",
    "stale_quote": "The newest price is older than trading at the market allows.",
    "no_rate": "The broker quotes no exchange rate between the two currencies.",
    "price_moved": "Between showing and confirming, the market moved further than allowed from the price that was "
    "shown.",
    "not_cancellable": "The order was filled, cancelled, rejected or expired before the cancel arrived.",
    "not_modifiable": "The order has not reached the broker, has ended, or another change of it is under way.",
    "no_position": "The account holds nothing of this instrument.",
    "position_changed": "The order was sized by a position that has changed since it was shown.",
    "duplicate_order_id": "The same client_order_id was sent before, with other terms.",
    "approval_required": "The policy of the connection is owner approval. No app and no token can release its orders, "
    "or cancel what guards a position there.",
    "user_is_asked": "The order was put to the user as a question in their client, and the question is still open.",
    "waits_for_owner": "The order, or a cancel of what guards a position, waits for its owner under Approvals.",
    "owners_order": "The owner made the order in the console, so it is out of reach for apps.",
    "another_apps_order": "Each app reaches the orders it made itself, and this one was made by another.",
    "confirmation_unknown": "The confirmation_id is wrong, or another app prepared the order.",
    "confirmed_too_soon": "The app confirmed right after it had prepared the order, and the connection has a least "
    "time between the two: 3 seconds with real money, unless its owner set another.",
    "confirmation_expired": "Nobody confirmed in time after the order was shown: its `expires_at`, "
    "as a rule 120 seconds later.",
    "confirmation_used": "The confirmation works once, and has already released its order.",
    "confirmation_changed": "The stored order does not match what was shown when it was prepared.",
    "rejected_by_owner": "The owner looked at the order in the console and rejected it.",
    "limit_exceeded": "With this order, a limit of the connection or the app would be exceeded.",
    "outside_limits": "A limit allows only certain symbols, kinds of instrument, order types or hours.",
    "price_outside_collar": "The order's price is further from the last price than the price collar allows, or, with "
    "real money, its limit would fill at once more than 2 % through the best price.",
    "limit_unprovable": "A limit needs a price, a balance or an exchange rate that could not be had. Limits fail "
    "closed.",
    "limits_required": "The connection is live, and its limit for one order or for a day is missing.",
    "broker_rejected": "The order reached the broker, and the broker refused it.",
    "broker_unavailable": "The broker did not answer, or could not be connected to, or too many calls to it are "
    "already waiting.",
    "broker_sign_in_refused": "The key was deleted or changed at the broker, or is bound to other IP addresses.",
    "broker_needs_login": "The broker's session ended. Interactive Brokers ends it about once a day.",
    "broker_permission_missing": "The key lacks a right at the broker.",
    "broker_busy": "The broker limits how often one key may call, and the limit was reached.",
    "broker_asks": "The broker wants a person's answer to a question, such as a precaution about size or price.",
    "outcome_unknown": "The order was sent, and the connection broke or the broker failed before its answer arrived.",
    "audit_unavailable": "The database could not write the record of the call, for example because the disk is full.",
    "internal_error": "A fault in Tradelatch. It is in the server's log with the request id.",
}
