"""What a person does at each broker to link an account, and what the form asks: one declared table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers import registry
from brokers.types import Environment

PAPER, LIVE = Environment.PAPER, Environment.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    """The adapter's name for it."""
    label: str
    help: str = ""
    is_secret: bool = True
    """Sealed in the vault, and never shown again."""
    lines: int = 1
    initial: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    name: str
    """As the broker calls it."""
    wanted: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    broker: str
    summary: str
    url: str
    """Where keys are made."""
    steps: tuple[str, ...]
    rights: tuple[Right, ...]
    fields: tuple[Field, ...]
    environments: Mapping[Environment, str]
    """Those it has, each in its own words."""
    addresses: str
    """What to do about the broker's list of addresses."""
    binds_addresses: bool = True
    paper_settings: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter is told besides where the person picked paper."""

    @property
    def title(self) -> str:
        return registry.NAMES[self.broker]


_READ = "so that balances, positions and orders can be shown"
_TRADE = "so that orders you confirm can be sent; leave it off for a connection that only reads"
_NEVER = "Tradelatch never moves money out. While a key may, its connection stays read only"
_KEY = Field(name="api_key", label="API key")
_SECRET = Field(name="secret", label="Secret")
_BIND = "Bind the key to the address this instance calls from."

_ALL = (
    Kind(
        broker="alpaca",
        summary="US stocks, funds, options and crypto. Paper and live accounts.",
        url="https://app.alpaca.markets/",
        steps=(
            "Sign in at Alpaca and pick the account, paper or live, at the top left.",
            "Under API Keys choose Generate New Keys.",
            "Copy the key and the secret at once: the secret is shown only there.",
        ),
        rights=(
            Right(name="Everything the API has", wanted=True, why="Alpaca's keys are not divided into rights"),
            Right(
                name="Withdrawing", wanted=False, why="Alpaca does not tell whether a key may. Tradelatch never asks"
            ),
        ),
        fields=(
            Field(name="key_id", label="Key ID", help="Begins with PK for paper, with AK for live."),
            _SECRET,
        ),
        environments={PAPER: "Alpaca's paper account, with its own keys", LIVE: "Real money"},
        addresses="Alpaca has no list of addresses for a key.",
        binds_addresses=False,
    ),
    Kind(
        broker="okx",
        summary="Crypto: spot, perpetuals and futures. Demo trading and live.",
        url="https://www.okx.com/account/my-api",
        steps=(
            "Sign in at OKX. For paper, switch to Demo trading first: a key works in the one it was made in.",
            "Under API create a key, and choose a passphrase of your own for it.",
            "Copy key and secret. OKX asks for the passphrase with every call, so it is needed here too.",
        ),
        rights=(
            Right(name="Read", wanted=True, why=_READ),
            Right(name="Trade", wanted=True, why=_TRADE),
            Right(name="Withdraw", wanted=False, why=_NEVER),
        ),
        fields=(
            _KEY,
            _SECRET,
            Field(name="passphrase", label="Passphrase", help="The one you chose for this key."),
            Field(
                name="region",
                label="Where you registered",
                is_secret=False,
                options=(("", "okx.com"), ("eea", "OKX Europe (eea.okx.com)"), ("us", "OKX US (us.okx.com)")),
            ),
        ),
        environments={PAPER: "Demo trading", LIVE: "Real money"},
        addresses=f"{_BIND} OKX deletes a trading key without an address after 14 days without use.",
    ),
    Kind(
        broker="binance",
        summary="Crypto spot. Testnet and live.",
        url="https://www.binance.com/en/my/settings/api-management",
        steps=(
            "Sign in at Binance, or at testnet.binance.vision for paper.",
            "Under API Management create a key that the system generates (HMAC).",
            "Copy key and secret at once: the secret is shown only there.",
        ),
        rights=(
            Right(name="Enable Reading", wanted=True, why=_READ),
            Right(name="Enable Spot & Margin Trading", wanted=True, why=_TRADE),
            Right(name="Enable Withdrawals", wanted=False, why=_NEVER),
        ),
        fields=(_KEY, _SECRET),
        environments={PAPER: "The testnet, with keys of its own", LIVE: "Real money"},
        addresses=f"{_BIND} Without one Binance ends the right to trade after 90 days.",
    ),
    Kind(
        broker="kraken",
        summary="Crypto spot. Live only.",
        url="https://www.kraken.com/u/security/api",
        steps=(
            "Sign in at Kraken, and under Settings, API, create a key.",
            "Make one for Tradelatch alone: two programs with one key get in each other's way there.",
            "Copy the API key and the private key.",
        ),
        rights=(
            Right(name="Query funds, orders, trades and ledgers", wanted=True, why=_READ),
            Right(name="Create, modify, cancel and close orders", wanted=True, why=_TRADE),
            Right(name="Withdraw funds", wanted=False, why="Kraken does not tell us, so look twice that it is off"),
        ),
        fields=(_KEY, Field(name="secret", label="Private key")),
        environments={LIVE: "Real money"},
        addresses=f"{_BIND} Kraken calls it IP address restriction.",
    ),
    Kind(
        broker="coinbase",
        summary="Crypto spot through Advanced Trade. Live only.",
        url="https://portal.cdp.coinbase.com/access/api",
        steps=(
            "Sign in at the Coinbase Developer Platform and create a secret API key.",
            "Under Advanced settings pick ECDSA as the signature algorithm, and the portfolio.",
            "Copy the key's name and its private key, from BEGIN to END.",
        ),
        rights=(
            Right(name="View", wanted=True, why=_READ),
            Right(name="Trade", wanted=True, why=_TRADE),
            Right(name="Transfer", wanted=False, why=_NEVER),
        ),
        fields=(
            Field(name="api_key", label="Name of the key", help="Such as organizations/…/apiKeys/…"),
            Field(name="secret", label="Private key", lines=5),
        ),
        environments={LIVE: "Real money"},
        addresses=f"{_BIND} It is called IP allowlist.",
    ),
    Kind(
        broker="krakenfutures",
        summary="Crypto futures: perpetuals and dated contracts settled in dollars. Demo and live.",
        url="https://futures.kraken.com/settings/api",
        steps=(
            "Sign in at Kraken and open Futures. Paper is demo-futures.kraken.com, which has accounts of its own.",
            "Under Settings, API keys, create a key.",
            "Copy the public and the private key at once: the private one is shown only there.",
        ),
        rights=(
            Right(
                name="General API: full access",
                wanted=True,
                why="so that orders you confirm can be sent; read only is enough for a connection that only reads",
            ),
            Right(name="Withdrawal API", wanted=False, why="Kraken does not tell us, so look twice that it is off"),
        ),
        fields=(Field(name="api_key", label="Public key"), Field(name="secret", label="Private key")),
        environments={PAPER: "The demo, with keys of its own", LIVE: "Real money"},
        addresses=f"{_BIND} Kraken calls it the IP allowlist.",
    ),
)

KINDS: dict[str, Kind] = {each.broker: each for each in _ALL}
