#!/usr/bin/env bash
# ofxparse 0.21: a time with its zone, as OFX writes it (20260331233000[-4:EDT]), is turned into UTC and handed over without any zone.
# Expected: the broker's day, or a time that says which zone it is in. Seen: 2026-04-01 03:30 with tzinfo None, so what was traded on
# the evening of the last day of a quarter has the first day of the next one; `date` alone keeps its day.
# For us: every time carries its zone, from the adapter to the export, and says UTC where it is one.
source "$(dirname "$0")/lib/common.sh"
venv py ofxparse==0.21
"$dir/py/bin/python" -W ignore - << 'PY'
from io import BytesIO

from ofxparse import OfxParser

STATEMENT = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20260402<LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>
<BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>USD
<BANKACCTFROM><BANKID>1<ACCTID>2<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20260301<DTEND>20260402{}</BANKTRANLIST>
<LEDGERBAL><BALAMT>1.00<DTASOF>20260402</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""
LINE = "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{}<TRNAMT>-5.00<FITID>{}<NAME>FEE</STMTTRN>"
posted = ("20260331233000[-4:EDT]", "20260331")
lines = "".join(LINE.format(when, number) for number, when in enumerate(posted))
found = OfxParser.parse(BytesIO(STATEMENT.format(lines).encode())).account.statement.transactions
seen = [each.date for each in found]
print("ofxparse 0.21:", dict(zip(posted, map(str, seen))), "; tzinfo:", [each.tzinfo for each in seen])
assert [str(each) for each in seen] == ["2026-04-01 03:30:00", "2026-03-31 00:00:00"]
assert [each.tzinfo for each in seen] == [None, None]
PY
