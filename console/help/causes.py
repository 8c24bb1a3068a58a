"""Why each code is given, for its page: what must have happened. What it means and what to do is in console.errors."""

from console.errors import Code

CAUSES: dict[Code, str] = {
    Code.INVALID_REQUEST: "The body was not well-formed JSON, or not a request that the protocol knows.",
    Code.UNKNOWN_TOOL: "The host remembers a tool of another server or of an older version, or the model made it up.",
    Code.UNKNOWN_ARGUMENT: "The model or program sent an argument that is not in the tool's schema. Some hosts add "
    "arguments of their own.",
    Code.MISSING_ARGUMENT: "The call left out an argument that the tool cannot do without.",
    Code.INVALID_ARGUMENT: "The value has the wrong kind or is outside the range, or two arguments contradict "
    "each other.",
    Code.BODY_TOO_LARGE: "The request had more than 256 kB.",
    Code.UNSUPPORTED_MEDIA_TYPE: "The Content-Type was not application/json, or the client accepts no JSON.",
    Code.ORIGIN_REFUSED: "A browser sent the Origin of a page that is not this server's and not among the allowed "
    "origins.",
    Code.NOT_FOUND: "The address or the id is wrong, the thing was deleted, or it belongs to somebody else.",
    Code.METHOD_NOT_ALLOWED: "The address exists, but not for this HTTP method.",
    Code.UNAUTHENTICATED: "There was no bearer token, or it was wrong, has expired, or belongs to an app whose access "
    "has ended.",
    Code.WRONG_AUDIENCE: "An OAuth token of an assistant is for /mcp. It was sent to another address.",
    Code.NOT_PERMITTED: "What was called is reserved for another kind of credential, such as a person's own session.",
    Code.CSRF_FAILED: "A request with the console's cookie came without its CSRF token, or the page was too old.",
    Code.RE_AUTHENTICATION_REQUIRED: "What was asked for lets others do more, and the last proof that it is you is "
    "more than five minutes old.",
    Code.IP_NOT_ALLOWED: "The key is bound to a list of IP addresses, and the call came from another one. Behind a "
    "proxy, the proxy may not pass on the caller's address.",
    Code.INSUFFICIENT_SCOPE: "The app was allowed to read, and what it called needs the scope to trade.",
    Code.TOOLSET_OFF: "The owner of the app switched this set of tools off.",
    Code.NOT_OFFERED_BY_BROKER: "The broker of this connection has no such function, or not in its interface.",
    Code.TRADING_DISABLED: "The connection was linked without trading, its owner switched trading off, or its key may "
    "withdraw.",
    Code.APP_PAUSED: "The owner, or the app itself, paused the app.",
    Code.APP_REVOKED: "The owner took the app's access back, the connection was unlinked, or the app gave its access "
    "up.",
    Code.CONNECTION_PAUSED: "The owner paused the whole connection.",
    Code.LIVE_FROZEN: "The account was recovered by an e-mail link within the last 24 hours.",
    Code.HALTED: "A person or an app halted order entry for this app, account or connection, or everywhere.",
    Code.RATE_LIMITED: "All apps of one user together made more calls in a minute than the instance allows.",
    Code.UNKNOWN_USER: "The user_id is wrong, belongs to another platform, or was disabled.",
    Code.CONNECTION_REQUIRED: "A token acts on one connection, and the user has none or more than one.",
    Code.UNKNOWN_SYMBOL: "The connection's broker has no instrument of this name. Each broker has its own symbols.",
    Code.AMBIGUOUS_SYMBOL: "The name stands for several listings or contracts, such as the root of a future.",
    Code.UNKNOWN_ACCOUNT: "The account_id is wrong, or belongs to another connection.",
    Code.UNKNOWN_ORDER: "The order id is wrong, or belongs to another connection.",
    Code.INVALID_ORDER: "Price or quantity does not fit the instrument's tick, lot or minimum, or the order's terms "
    "contradict each other. Orders are never rounded.",
    Code.INSUFFICIENT_FUNDS: "The order with its fee costs more than the account's buying power, of which open orders "
    "hold a part.",
    Code.INSUFFICIENT_POSITION: "The order sells more than is held, or other open orders already offer the position.",
    Code.MARKET_CLOSED: "The exchange of the instrument is closed, and the order cannot wait until it opens.",
    Code.STALE_QUOTE: "The newest price is older than trading at the market allows.",
    Code.NO_RATE: "The broker quotes no exchange rate between the two currencies.",
    Code.PRICE_MOVED: "Between showing and confirming, the market moved further than allowed from the price that was "
    "shown.",
    Code.NOT_CANCELLABLE: "The order was filled, cancelled, rejected or expired before the cancel arrived.",
    Code.NOT_MODIFIABLE: "The order has not reached the broker, has ended, or another change of it is under way.",
    Code.NO_POSITION: "The account holds nothing of this instrument.",
    Code.POSITION_CHANGED: "The order was sized by a position that has changed since it was shown.",
    Code.DUPLICATE_ORDER_ID: "The same client_order_id was sent before, with other terms.",
    Code.APPROVAL_REQUIRED: "The policy of the connection is owner approval. No app and no token can release its "
    "orders.",
    Code.CONFIRMATION_UNKNOWN: "The confirmation_id is wrong, or another app prepared the order.",
    Code.CONFIRMATION_EXPIRED: "Nobody confirmed within 120 seconds after the order was shown.",
    Code.CONFIRMATION_USED: "The confirmation works once, and has already released its order.",
    Code.CONFIRMATION_CHANGED: "The stored order does not match what was shown when it was prepared.",
    Code.REJECTED_BY_OWNER: "The owner looked at the order in the console and rejected it.",
    Code.LIMIT_EXCEEDED: "With this order, a limit of the connection or the app would be exceeded.",
    Code.OUTSIDE_LIMITS: "A limit allows only certain symbols, kinds of instrument, order types or hours.",
    Code.PRICE_OUTSIDE_COLLAR: "The order's price is further from the last price than the price collar allows.",
    Code.LIMIT_UNPROVABLE: "A limit needs a price, a balance or an exchange rate that could not be had. Limits fail "
    "closed.",
    Code.LIMITS_REQUIRED: "The connection is live, and its limit for one order or for a day is missing.",
    Code.BROKER_REJECTED: "The order reached the broker, and the broker refused it.",
    Code.BROKER_UNAVAILABLE: "The broker did not answer, or could not be connected to, or too many calls to it are "
    "already waiting.",
    Code.BROKER_SIGN_IN_REFUSED: "The key was deleted or changed at the broker, or is bound to other IP addresses.",
    Code.BROKER_NEEDS_LOGIN: "The broker's session ended. Interactive Brokers ends it about once a day.",
    Code.BROKER_PERMISSION_MISSING: "The key lacks a right at the broker.",
    Code.BROKER_BUSY: "The broker limits how often one key may call, and the limit was reached.",
    Code.BROKER_ASKS: "The broker wants a person's answer to a question, such as a precaution about size or price.",
    Code.OUTCOME_UNKNOWN: "The order was sent, and the connection broke or the broker failed before its answer "
    "arrived.",
    Code.AUDIT_UNAVAILABLE: "The database could not write the record of the call, for example because the disk is "
    "full.",
    Code.INTERNAL_ERROR: "A fault in Tradelatch. It is in the server's log with the request id.",
}
