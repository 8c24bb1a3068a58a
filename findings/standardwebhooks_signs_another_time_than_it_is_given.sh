#!/usr/bin/env bash
# standardwebhooks 1.1.0 (Python), Webhook.sign: the zone of the time it is given is replaced by UTC, not converted. A sender
# whose clock is in Berlin signs a message of two hours later than the one its webhook-timestamp tells, and no receiver takes it;
# in New York the same. The library for JavaScript (1.1.1) signs the moment.
# Expected: one moment has one signature in whatever zone it is written. Seen: the right one in UTC alone.
# For us: seconds since 1970 are made once, signed and sent as they are; messages are signed for tests with a time in UTC.
source "$(dirname "$0")/lib/common.sh"
venv py standardwebhooks==1.1.0
export secret=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=  # 01234567890123456789012345678901
seconds=1751371200 # 2025-07-01 12:00 UTC
export right=$(printf 'msg_1.%s.{}' "$seconds" | openssl dgst -sha256 -hmac 01234567890123456789012345678901 -binary | base64)
"$dir/py/bin/python" - "$seconds" << 'PY'
import os
import sys
from datetime import UTC, datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

moment = datetime.fromtimestamp(int(sys.argv[1]), UTC)
berlin = moment.astimezone(timezone(timedelta(hours=2)))
assert berlin == moment
sender = Webhook(os.environ["secret"])
signed = [sender.sign("msg_1", at, "{}").removeprefix("v1,") for at in (moment, berlin)]
print("standardwebhooks 1.1.0, in UTC and in Berlin:", *signed, "openssl:", os.environ["right"])
assert signed[0] == os.environ["right"] != signed[1]
now = datetime.now(UTC).astimezone(timezone(timedelta(hours=2)))
headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
try:
    sender.verify("{}", headers | {"webhook-signature": sender.sign("msg_1", now, "{}")})
except WebhookVerificationError as error:
    print("standardwebhooks 1.1.0, the same library verifies it:", error)
else:
    raise AssertionError("it was taken")
PY
cd "$dir"
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1
node -e '
const { Webhook } = require("standardwebhooks");
const signed = new Webhook(process.env.secret).sign("msg_1", new Date("2025-07-01T14:00:00+02:00"), "{}");
console.log("standardwebhooks 1.1.1 for JavaScript, in Berlin:", signed);
if (signed !== `v1,${process.env.right}`) process.exit(1);
'
