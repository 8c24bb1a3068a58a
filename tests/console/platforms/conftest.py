import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.platforms import services
from console.platforms.models import Platform, PlatformUser
from console.platforms.services import PaperTerms


@dataclass
class Product:
    """A platform's own server, calling over HTTP."""

    platform: Platform
    secret: str
    http: Client

    @property
    def headers(self) -> dict[str, str]:
        return {"client-id": self.platform.client_id, "client-secret": self.secret}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """``body`` is JSON to be, or text to go out as it is. A header given as "" is left out."""
        data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        present = {name: value for name, value in sent.items() if value}
        return self.http.generic(method, path, data, content_type="application/json", headers=present)

    def mint(self, trader: tuple[PlatformUser, str], body: Any = None, **headers: str) -> Any:
        user, secret = trader
        body = {"scopes": ["read"]} if body is None else body
        pair = {"user_id": user.public_id, "user_secret": secret}
        return self.send("POST", "/auth/tokens/user", body, **(pair | headers))


@pytest.fixture
def product(operator: User) -> Product:
    platform, secret = services.create_platform(operator, name="Widget")
    return Product(platform, secret, Client())


@pytest.fixture
def second_product(operator: User) -> Product:
    platform, secret = services.create_platform(operator, name="Gadget")
    return Product(platform, secret, Client())


@pytest.fixture
def trader(product: Product) -> tuple[PlatformUser, str]:
    """A user of the product with one paper connection, and its secret."""
    return services.provision_user(product.platform, paper=PaperTerms("Practice", Decimal(100_000)))
