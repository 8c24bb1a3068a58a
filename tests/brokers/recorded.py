"""Answers as a broker was seen or is documented to give them, in place of what its fake would say."""

from typing import Any

import pytest

from tests.brokers.faults import Asked, FakeBroker, Reply


def answer_with(
    patch: pytest.MonkeyPatch, fake: FakeBroker, method: str, path: str, body: Any, *, status: int = 200
) -> None:
    """From now on every request whose path begins so is answered with this body; the rest is the fake's."""
    before = fake.answer

    def answer(asked: Asked) -> Reply:
        meant = asked.method == method and asked.path.startswith(path)
        return (status, body) if meant else before(asked)

    patch.setattr(fake, "answer", answer)
