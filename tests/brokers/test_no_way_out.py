"""No adapter knows a call that sends money or coins anywhere, or that puts them away."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.faults import FakeBroker

BROKERS = Path(__file__).parents[2] / "brokers"
MOVING = re.compile(r"withdraw|transfer|allocat|deallocat|subscri|redeem|purchase|payout|send_?money", re.IGNORECASE)
# Our own words for what is listed; words of brokers' answers; calls that only list.
READS = {
    *("Transfer", "TransferKind", "TransferStatus", "TRANSFERS", "WITHDRAWAL", "transfer", "transfers", "transfer_id"),
    *("can_withdraw", "withdraw", "withdrawal", "_TRANSFER"),
    *("enableInternalTransfer", "enableWithdrawals", "can_transfer"),
    *("fetch_withdrawals", "sapi_get_capital_withdraw_history", "minPurchaseAmount"),
    *("fiat_withdrawal", "exchange_withdrawal", "pro_withdrawal", "withdrawals", "allocation", "can_allocate"),
    *("amount_allocated", "user_min_allocation", "hide_zero_allocations", "private_post_earn_allocations"),
}
# Of a stream: to hear of orders, where elsewhere the word puts money into a product.
HEARS = {"subscribe", "unsubscribe", "subscriptions", "_SUBSCRIBE", "userDataStream.subscribe.signature"}


def _words(source: str) -> Iterator[str]:
    """Every name and every text without spaces: whatever a call or a path can be made of."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.FunctionDef(name=word) | ast.ClassDef(name=word):
                yield word
            case ast.alias(name=word) | ast.keyword(arg=str(word)) | ast.arg(arg=word):
                yield word
            case ast.Constant(value=str(word)) if " " not in word:
                yield word


def _told(file: Path) -> set[str]:
    return {word for word in _words(file.read_text()) if MOVING.search(word)}


def test_every_word_for_moving_money_in_an_adapter_is_one_that_reads() -> None:
    found = {str(file.relative_to(BROKERS.parent)): _told(file) for file in sorted(BROKERS.rglob("*.py"))}
    for file, words in found.items():
        if "/paper/" not in file:  # its ledger is our own
            known = READS | HEARS if file.endswith("/stream.py") else READS
            assert words - known == set(), file
    posted = {word for words in found.values() for word in words if re.search(r"(^|_)(post|put|delete)_", word)}
    assert posted == {"private_post_earn_allocations"}, "Kraken reads by POST"


@pytest.mark.parametrize(
    "line",
    [
        'client.write(turn, "private_post_asset_withdrawal", body)',
        "exchange.withdraw(code, amount, address)",
        'self._send("POST", f"/v2/accounts/{account}/transfers", body)',
    ],
)
def test_a_call_that_moves_money_would_be_seen(line: str) -> None:
    assert any(MOVING.search(word) for word in _words(line))


def test_one_that_reaches_a_fake_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="moves money"), FakeBroker() as fake:
        fake.received.append(("POST", "/api/v5/asset/withdrawal"))
