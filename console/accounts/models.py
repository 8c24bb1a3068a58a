from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_operator=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail address. An operator also runs the instance."""

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_operator = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    live_frozen_until = models.DateTimeField(null=True)
    """Set by account recovery: until then no order goes to a live connection."""
    time_zone = models.CharField(max_length=64, blank=True)
    """A name of the IANA database: what the person chose, or the first that a browser of theirs named."""
    times_in_utc = models.BooleanField(default=False)
    """Pages show UTC although the person's zone is known."""

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_any_case")]

    def __str__(self) -> str:
        return self.email

    @property
    def live_is_frozen(self) -> bool:
        return self.live_frozen_until is not None and self.live_frozen_until > timezone.now()


class Link(models.Model):
    """An address that lets its holder set a password, once. Kept as a hash."""

    class Purpose(models.TextChoices):
        INVITE = "invite", "Invitation"
        RECOVERY = "recovery", "Recovery"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="links")
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
