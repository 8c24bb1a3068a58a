"""A secret or a token that a caller puts where it does not belong never reaches the journal."""

from console.audit import masking
from console.platforms import credentials, token_signing
from tests.console.platforms.conftest import Product


def test_neither_secret_nor_token_is_kept(product: Product) -> None:
    token = token_signing.sign({"sub": "tlu_x"})
    for prefix in ("tlc", "tlu"):
        raw, _ = credentials.new_secret(prefix)
        assert masking.mask(f"my secret is {raw}, thanks") == "my secret is [masked], thanks"
    assert masking.mask(f"see {token}") == "see [masked]"


def test_only_hashes_are_stored(product: Product) -> None:
    assert product.secret not in f"{product.platform.digest} {product.platform.client_id}"
    assert product.platform.digest == credentials.digest(product.secret)
