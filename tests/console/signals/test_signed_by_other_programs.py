"""What other programs sign: the library of Standard Webhooks, ``openssl``, and an example that GitHub publishes."""

import json
import subprocess
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from console.accounts import seal
from console.accounts.models import User
from console.connections.models import Connection
from console.errors import Refusal
from console.signals import senders
from console.signals.addresses import Made
from console.signals.models import SignalOutcome
from tests.console.signals import steps
from tests.console.signals.conftest import Clock

pytestmark = pytest.mark.django_db

BODY = json.dumps({"symbol": "AAPL", "side": "buy", "quantity": 3, "note": "Größe: drei\n"}, ensure_ascii=False)


@pytest.fixture
def signed(owner: User, paper: Connection) -> Made:
    return steps.signed_address(owner, paper)


def by_the_library(made: Made, body: str, clock: Clock, message_id: str = "msg_1") -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(clock.now.timestamp())),
        "webhook-signature": Webhook(made.secret).sign(message_id, clock.now, body),
    }


def by_openssl(made: Made, body: str) -> dict[str, str]:
    command = ["openssl", "dgst", "-sha256", "-hmac", made.secret, "-r"]
    told = subprocess.run(command, input=body.encode(), capture_output=True, check=True).stdout.decode()
    return {"X-Signature-256": f"sha256={told.split()[0]}"}


def test_the_library_of_standard_webhooks_signs(signed: Made, clock: Clock) -> None:
    headers = by_the_library(signed, BODY, clock)
    assert steps.post(signed, BODY, headers=headers).status_code == 202
    assert steps.newest().outcome == SignalOutcome.PREPARED
    assert steps.post(signed, BODY, headers=headers).status_code == 409
    # A sender that changes its secret signs with both for a time.
    headers = by_the_library(signed, BODY, clock, "msg_2")
    headers["webhook-signature"] = f"v1,{'A' * 43}= v1a,{'B' * 86}== {headers['webhook-signature']}"
    assert steps.post(signed, BODY, headers=headers).status_code == 202


@pytest.mark.parametrize("altered", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_what_was_altered_on_its_way_is_refused(signed: Made, clock: Clock, altered: str) -> None:
    headers, body = by_the_library(signed, BODY, clock), BODY
    if altered == "body":
        body = BODY.replace("3", "30")
    elif altered == "webhook-id":
        headers["webhook-id"] = "msg_2"
    elif altered == "webhook-timestamp":
        headers["webhook-timestamp"] = str(int((clock.now + timedelta(seconds=1)).timestamp()))
    else:
        headers["webhook-signature"] = Webhook("whsec_" + "A" * 44).sign("msg_1", clock.now, BODY)
    assert steps.post(signed, body, headers=headers).status_code == 404
    assert steps.newest().code == "signal_forged"


def test_openssl_signs(signed: Made) -> None:
    headers = by_openssl(signed, BODY)
    assert steps.post(signed, BODY.replace("3", "30"), headers=headers).status_code == 404
    assert steps.post(signed, BODY, headers=headers).status_code == 202
    assert steps.newest().outcome == SignalOutcome.PREPARED


def test_the_published_example_of_github(signed: Made) -> None:
    """docs.github.com, Validating webhook deliveries: testing the webhook payload validation."""
    signed.address.sealed = seal.seal("It's a Secret to Everybody")
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": published}
    senders.check_signature(signed.address, headers, b"Hello, World!")
    with pytest.raises(Refusal):
        senders.check_signature(signed.address, headers, b"Hello, World")
