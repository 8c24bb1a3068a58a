"""Making platforms and their users, changing their secrets, and ending them."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from console import display_name_rules, untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import paper_linking as paper_connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.platforms import credentials
from console.platforms.models import Platform, PlatformUser


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """The paper connection that a new user starts with."""

    name: str
    starting_cash: Decimal
    trading_enabled: bool = True


@transaction.atomic
def create_platform(operator: User, *, name: str) -> tuple[Platform, str]:
    """The returned text is the only copy of the secret there will ever be. Raises Refusal for a bad name."""
    if not operator.is_operator:
        raise ValueError("Only an operator can add a platform.")
    name = display_name_rules.clean_display_name(name)
    raw, digest = credentials.new_secret("tlc")
    platform = Platform.objects.create(
        owner=operator, name=name[:100], client_id=credentials.new_id("tlc"), digest=digest
    )
    audit_log.record_change(operator, "added", "platform", platform.client_id, platform.name, after={"enabled": True})
    return platform, raw


@transaction.atomic
def rotate_platform_secret(platform: Platform, *, by: User) -> str:
    """The old secret and every token minted with it end at once."""
    raw, digest = credentials.new_secret("tlc")
    Platform.objects.filter(pk=platform.pk).update(digest=digest, credential_version=F("credential_version") + 1)
    audit_log.record_change(
        by,
        "changed the secret of",
        "platform",
        platform.client_id,
        platform.name,
        before={"secret": platform.credential_version},
        after={"secret": platform.credential_version + 1},
    )
    return raw


@transaction.atomic
def disable_platform(platform: Platform, *, by: User) -> bool:
    """Its tokens end at once, and stay ended when it is enabled again."""
    changed = Platform.objects.filter(pk=platform.pk, disabled_at=None).update(
        disabled_at=timezone.now(), credential_version=F("credential_version") + 1
    )
    if changed:
        audit_log.record_change(
            by,
            "disabled",
            "platform",
            platform.client_id,
            platform.name,
            before={"enabled": True},
            after={"enabled": False},
        )
    return bool(changed)


@transaction.atomic
def enable_platform(platform: Platform, *, by: User) -> bool:
    changed = Platform.objects.filter(pk=platform.pk, disabled_at__isnull=False).update(disabled_at=None)
    if changed:
        audit_log.record_change(
            by,
            "enabled",
            "platform",
            platform.client_id,
            platform.name,
            before={"enabled": False},
            after={"enabled": True},
        )
    return bool(changed)


@transaction.atomic
def provision_user(
    platform: Platform, *, reference: str = "", paper: PaperTerms | None = None
) -> tuple[PlatformUser, str]:
    """A user without password, and the only copy of its secret. Raises Refusal for a reference in use."""
    reference = untrusted_text.check_text(reference, field="reference", what="reference")
    public_id = credentials.new_id("tlu")
    raw, digest = credentials.new_secret("tlu")
    # RFC 2606: no mail can ever reach this address, and nobody can ask to reset a password there.
    user = User.objects.create_user(f"{public_id}@platform.invalid")
    try:
        with transaction.atomic():
            made = PlatformUser.objects.create(
                platform=platform, user=user, public_id=public_id, reference=reference, digest=digest
            )
    except IntegrityError as error:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"A user of this platform already has the reference {reference!r}.",
            field="reference",
        ) from error
    _record(made, "added")
    if paper is not None:
        add_paper(made, paper)
    return made, raw


def add_paper(user: PlatformUser, terms: PaperTerms) -> Connection:
    """Raises Refusal when the user has a connection of that name. No key comes with it: the tokens are the way in."""
    return paper_connections.link_paper(
        user.user,
        name=terms.name,
        starting_cash=terms.starting_cash,
        trading_enabled=terms.trading_enabled,
    )


@transaction.atomic
def rotate_user_secret(user: PlatformUser) -> str:
    """The old secret and every token minted with it end at once."""
    raw, digest = credentials.new_secret("tlu")
    PlatformUser.objects.filter(pk=user.pk).update(digest=digest, credential_version=F("credential_version") + 1)
    _record(user, "changed the secret of")
    return raw


@transaction.atomic
def disable_user(user: PlatformUser) -> bool:
    """Its tokens end at once. Its orders and its history stay."""
    changed = PlatformUser.objects.filter(pk=user.pk, disabled_at=None).update(
        disabled_at=timezone.now(), credential_version=F("credential_version") + 1
    )
    if changed:
        _record(user, "disabled")
    return bool(changed)


def _record(user: PlatformUser, action: str) -> None:
    audit_log.record_change(
        user.platform.owner,
        action,
        "platform user",
        user.public_id,
        user.platform.name,
        after={"enabled": user.disabled_at is None},
        owner_id=user.user_id,
        platform=user.platform.client_id,
    )
