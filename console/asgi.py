"""The whole of Tradelatch in one process: ``/mcp`` beside the console. The composition root."""

import gc
import os
import warnings

from django.conf import settings
from django.core.asgi import get_asgi_application
from starlette.types import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

# What is imported stays: to look for rubbish meanwhile is a sixth of a start.
_collects = gc.isenabled()
gc.disable()

from console import base_path, body_timeout, header_limit, log_format, request_ids, telemetry, trusted_proxies  # noqa: E402
from mcpserver import asgi as mcp  # noqa: E402

# WhiteNoise hands its files over as WSGI wants them. They are small: that Django reads each whole harms nobody.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")

_django = get_asgi_application()


@body_timeout.with_body_timeout
async def _pages(scope: Scope, receive: Receive, send: Send) -> None:
    await _django(dict(scope), receive, send)  # type: ignore[arg-type]  # the stubs want Mapping, ASGI says dict


_console = request_ids.with_request_id(telemetry.with_request_span("console", _pages))


async def _dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by path. Django's handler knows no lifespan, so that is the MCP app's too."""
    if scope["type"] == "lifespan":
        log_format.name_process("web")
    if scope["type"] == "lifespan" or (scope["type"] == "http" and base_path.within(scope["path"]) in mcp.ANSWERED):
        await mcp.mcp_app(scope, receive, send)
    else:
        await _console({**scope, "path": base_path.whole(scope["path"])}, receive, send)


application = header_limit.with_header_limit(trusted_proxies.with_proxies(settings.TRUSTED_PROXIES, _dispatch))
if _collects:
    gc.enable()
