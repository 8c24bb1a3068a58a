#!/usr/bin/env bash
# ibflex 1.1 (reads Interactive Brokers' Flex statements): an attribute that it does not list is passed over, but one row in a
# currency that it does not list ends the reading of the whole statement.
# Expected: both alike. Seen: a new attribute reads well, USDC is a FlexParserError for all rows.
# For us: a row nobody knows is told as far as it can be, named, and the rest of the list stays.
source "$(dirname "$0")/lib/common.sh"
venv py ibflex==1.1 requests==2.32.5
"$dir/py/bin/python" -W ignore - << 'PY'
import ibflex


def read(extra: str, currency: str = "USD") -> str:
    trade = f'<Trade accountId="DU1" currency="{currency}" symbol="AAPL" quantity="1" tradePrice="190.25" {extra}/>'
    text = (
        '<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1">'
        '<FlexStatement accountId="DU1" fromDate="20261102" toDate="20261127" period="LastMonth" '
        f'whenGenerated="20261130;080000"><Trades>{trade}</Trades></FlexStatement></FlexStatements></FlexQueryResponse>'
    )
    try:
        return str(ibflex.parser.parse(text.encode()).FlexStatements[0].Trades[0].tradePrice)
    except ibflex.parser.FlexParserError as error:
        return f"FlexParserError: {error}"


seen = {"as listed": read(""), "a new attribute": read('positionLabel="x"'), "USDC": read("", "USDC")}
print("ibflex 1.1:", seen)
assert seen["as listed"] == "190.25"
assert seen["a new attribute"] == "190.25" and seen["USDC"].startswith("FlexParserError")
PY
