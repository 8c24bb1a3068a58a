"""The checksum in a key: crc32 in six base62 digits. Keys that were given stay good, so it never changes."""

import pytest

from console.keys import minting


@pytest.mark.parametrize(
    ("text", "digits"),
    [("", "000000"), ("text", "15bjfT"), ("text 1080", "000aF2"), ("text 79490", "4gfC6t")],
)
def test_the_checksum_of_a_text_is_what_it_was(text: str, digits: str) -> None:
    assert minting._checksum(text) == digits
