"""The guides of this instance: filled in, looked up, and what stands in the way of one."""

from dataclasses import replace

from django.conf import settings

from console.accounts.models import User
from console.clients.models import Client, ClientKind
from console.onboarding.guide import KEY, Guide, Place, Reachability, Runs
from console.onboarding.hosts import table


def place_of(owner: User | None = None, guide: str = "", *, key: str = KEY) -> Place:
    """This instance; with the client ``owner`` registered for ``guide``, where apps may not register themselves."""
    place = Place(public_url=settings.PUBLIC_URL, self_registration=settings.SELF_REGISTRATION, key=key)
    if owner is None or not place.needs_client:
        return place
    wanted = next((each for each in table(place) if each.slug == guide), None)
    if wanted is None or not wanted.redirects:
        return place
    for client in Client.objects.filter(user=owner, kind=ClientKind.STATIC, deleted_at=None).order_by("-pk"):
        if all(client.redirect_uri_allowed(uri) for uri in wanted.redirects):
            return replace(place, client_id=client.client_id)
    return place


def find(slug: str, place: Place) -> Guide | None:
    return next((guide for guide in table(place) if guide.slug == slug), None)


def warning(guide: Guide, place: Place) -> str:
    """Why the host cannot reach this instance as it is, or an empty text."""
    if guide.runs is Runs.INTERNET and (place.reach is not Reachability.PUBLIC or not place.is_https):
        return (
            f"This instance is at {place.public_url}, which {guide.name} cannot reach: it connects from the internet "
            "and needs a public https address."
            " Put Tradelatch behind one and set TRADELATCH_PUBLIC_URL to it: see Help, "
            "Run it in production."
        )
    if guide.runs is not Runs.INTERNET and place.reach is not Reachability.LOOPBACK and not place.is_https:
        return (
            f"This instance is at {place.public_url}, without encryption: others on the network can read keys and "
            "tokens, and hosts may refuse to sign in."
            " Give it an https address: see Help, Run it in "
            "production."
        )
    return ""


def note_on_reach(guide: Guide, place: Place) -> str:
    """What is true of the address when nothing is wrong with it."""
    if guide.runs is Runs.INTERNET:
        return f"{guide.name} connects to {place.public_url} from the internet: your proxy must let it through to /mcp."
    if place.reach is Reachability.LOOPBACK:
        return f"{place.public_url} works only on the computer where Tradelatch runs."
    return ""
