"""Each request has an id, in every answer (``X-Request-ID``), in the log, and in the row of its call."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import ids, tracing

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_NAME = HEADER.lower().encode()


def with_request_id(app: ASGIApp) -> ASGIApp:
    """``app`` within the id of each request; what it lets fall is logged under it, and answered with 500."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request_id, has_begun = ids.new("req"), False
        traceparent = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")

        async def answering(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = list(message.get("headers", []))
                if all(name.lower() != _NAME for name, _ in headers):
                    headers.append((_NAME, request_id.encode()))
                message = {**message, "headers": headers}
            await send(message)

        with tracing.request(request_id, tracing.parse(traceparent.decode("latin-1"))):
            try:
                await app(scope, receive, answering)
            except Exception:
                if has_begun:
                    raise
                log.exception("Request %s failed", request_id)
                body = f"Something went wrong. The operator can find it in the log under {request_id}.\n".encode()
                head = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
                head.append((b"content-length", str(len(body)).encode()))
                await answering({"type": "http.response.start", "status": 500, "headers": head})
                await answering({"type": "http.response.body", "body": body})

    return serve
