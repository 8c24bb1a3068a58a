"""The name by which a request asked for this server, and what is said when it is another's."""

import logging
import time

from django.conf import settings

log = logging.getLogger(__name__)

_SAID_EVERY_SECONDS = 60.0
_MOST = 20
"""Lines in that time: names can be made up without end."""
_said: dict[str, float] = {}


def foreign_host_message(host: str) -> str:
    """What to tell who asked for ``host``, a name that is not this server's."""
    return (
        f"This server does not answer to the host name {host[:100]!r}. Its address is {settings.PUBLIC_URL}; to "
        "use another address, set TRADELATCH_PUBLIC_URL to it and restart the server."
    )


def log_foreign_host(host: str, ip: str) -> None:
    """One line in the log, at most one a minute for each name and twenty for all."""
    now = time.monotonic()
    for name in [name for name, at in _said.items() if now - at >= _SAID_EVERY_SECONDS]:
        _said.pop(name, None)
    if host[:100] in _said or len(_said) >= _MOST:
        return
    _said[host[:100]] = now
    log.warning(
        "Refused a request from %s for the host name %r: TRADELATCH_PUBLIC_URL is %s",
        ip,
        host[:100],
        settings.PUBLIC_URL,
    )
