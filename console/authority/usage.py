"""Last used: of the app, and of the very key."""

from console.connected_apps import grants
from console.keys import usage
from console.keys.models import ApiKey, ManagementKey
from console.principal import Manager, Principal
from console.scopes import Source


def record(who: Principal | Manager) -> None:
    """Call it once per call that was let in; it writes at most once a minute."""
    if isinstance(who, Manager):
        usage.record(ManagementKey, who.credential_id, ip=who.ip)
        return
    if who.is_use_on_record:
        return
    grants.used(who.app_id, ip=who.ip, user_agent=who.user_agent)
    if who.source is Source.API_KEY:
        usage.record(ApiKey, who.credential_id, ip=who.ip)
