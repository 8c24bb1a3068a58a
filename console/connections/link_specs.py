"""What a person does at each broker to link an account, and what the form asks: one declared table."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers import registry
from brokers.types import Environment

PAPER, LIVE = Environment.PAPER, Environment.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkField:
    name: str
    """The adapter's name for it."""
    label: str
    help: str = ""
    is_secret: bool = True
    """Sealed in the vault, and never shown again."""
    lines: int = 1
    initial: str = ""
    options: tuple[tuple[str, str], ...] = ()
    with_blanks: bool = False
    most: int | None = None
    """Where it is a whole number: the largest, the least being 1."""
    read: Callable[[str], str] | None = None
    """Makes of what was typed what the adapter takes. Raises ValueError, saying what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    name: str
    """As the broker calls it."""
    wanted: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    broker: str
    summary: str
    url: str = ""
    """Where keys are made; empty where that is no page of the broker's."""
    way: str = ""
    """Of a broker that can be linked in more than one way: which this is."""
    heading: str = ""
    """Its title where the broker's name alone does not say it."""
    called: str = ""
    """What a connection is called at first, where not by its title."""
    steps: tuple[str, ...]
    rights: tuple[Right, ...]
    fields: tuple[LinkField, ...]
    environments: Mapping[Environment, str]
    """Those it has, each in its own words."""
    addresses: str
    """What to do about the broker's list of addresses."""
    binds_addresses: bool = True
    picked_by_person: bool = False
    """The broker's answer alone does not prove paper, so no environment is picked beforehand."""
    paper_settings: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter is told besides where the person picked paper."""
    thing: str = "key"
    """What is brought: a key, or the address of a gateway."""
    sign_in: str = ""
    """Where a session that has ended is begun anew; empty where there is no such thing."""

    @property
    def title(self) -> str:
        return self.heading or registry.NAMES[self.broker]

    @property
    def slug(self) -> str:
        return f"{self.broker}-{self.way}" if self.way else self.broker

    @property
    def is_gateway(self) -> bool:
        """It is reached at an address that the person types."""
        return self.thing == "address"

    @property
    def has_secrets(self) -> bool:
        return any(each.is_secret for each in self.fields)

    @property
    def has_certificate(self) -> bool:
        """What it is reached at may be https, by a certificate nobody vouches for."""
        return any(each.name == "base_url" for each in self.fields)


_READ = "to show balances, positions and orders"
_TRADE = "to send orders you confirm; leave it off for a read-only connection"
_NEVER = "Tradelatch never withdraws money. While a key can withdraw, its connection stays read only"
_KEY = LinkField(name="api_key", label="API key")
_SECRET = LinkField(name="secret", label="Secret")
_BIND = "Restrict the key to the IP address this instance calls from."


def _joined(text: str) -> str:
    """What an editor or a mail broke into lines."""
    return "".join(text.split())


def _with_path(text: str) -> str:
    """A gateway's address as a browser shows it, without the path of its API, is completed."""
    found = re.fullmatch(r"(https?://[^/?#]+)/?", text.strip())
    return text.strip() if found is None else f"{found[1]}/v1/api"


def _prime(text: str) -> str:
    """The prime of Diffie-Hellman parameters as ``openssl dhparam`` writes them (PKCS #3), in hexadecimal."""
    found = re.search(r"-----BEGIN DH PARAMETERS-----(.+?)-----END", text, re.DOTALL)
    try:
        if found is None:
            return f"{int(_joined(text), 16):x}"
        numbers = _inside(base64.b64decode(_joined(found[1]), validate=True), _SEQUENCE)
        return f"{int.from_bytes(_inside(numbers, _INTEGER), 'big'):x}"
    except (ValueError, IndexError) as error:
        raise ValueError("This is neither a Diffie-Hellman parameter file nor a hexadecimal number.") from error


# cryptography gives up on these parameters, and nothing else here needs them.
_SEQUENCE, _INTEGER = 0x30, 0x02


def _inside(der: bytes, tag: int) -> bytes:
    """What the first element holds (X.690, 8.1). Raises ValueError, IndexError."""
    begins, size = 2, der[1]
    if size & 0x80:
        begins += size & 0x7F
        size = int.from_bytes(der[2:begins], "big")
    if der[0] != tag or len(der) < begins + size:
        raise ValueError
    return der[begins : begins + size]


_IBKR_SESSION = (
    "Interactive Brokers allows one such session per user name, and TWS and the mobile app compete for "
    "it. Create a separate user name for Tradelatch: Settings, Users and access rights."
)
_IBKR_RIGHTS = (
    Right(name="Trading and account data", wanted=True, why="permissions belong to the user name that signs in"),
    Right(
        name="Funding",
        wanted=False,
        why="Interactive Brokers does not report what a user name can do. Tradelatch never withdraws money",
    ),
)

_ALL = (
    LinkSpec(
        broker="alpaca",
        summary="US stocks, funds, options and crypto. Paper and live accounts.",
        url="https://app.alpaca.markets/",
        steps=(
            "Sign in at Alpaca and choose the account, paper or live, at the top left.",
            "Under API Keys choose Generate New Keys.",
            "Copy the key and the secret right away: the secret is shown only once.",
        ),
        rights=(
            Right(name="Everything the API offers", wanted=True, why="Alpaca's keys have no separate permissions"),
            Right(
                name="Withdrawing",
                wanted=False,
                why="Alpaca does not report whether a key can withdraw. Tradelatch never withdraws",
            ),
        ),
        fields=(
            LinkField(name="key_id", label="Key ID", help="Starts with PK for paper, AK for live."),
            _SECRET,
        ),
        environments={PAPER: "Alpaca's paper account, which has its own keys", LIVE: "Real money"},
        addresses="Alpaca cannot restrict a key to IP addresses.",
        binds_addresses=False,
    ),
    LinkSpec(
        broker="okx",
        summary="Crypto: spot, perpetuals and futures. Demo trading and live.",
        url="https://www.okx.com/account/my-api",
        steps=(
            "Sign in at OKX. For paper, switch to Demo trading first: a key only works in the mode it was created in.",
            "Under API, create a key and choose a passphrase for it.",
            "Copy key and secret. OKX requires the passphrase with every call, so you enter it here too.",
        ),
        rights=(
            Right(name="Read", wanted=True, why=_READ),
            Right(name="Trade", wanted=True, why=_TRADE),
            Right(name="Withdraw", wanted=False, why=_NEVER),
        ),
        fields=(
            _KEY,
            _SECRET,
            LinkField(name="passphrase", label="Passphrase", help="The one you chose for this key."),
            LinkField(
                name="region",
                label="Where you registered",
                is_secret=False,
                options=(("", "okx.com"), ("eea", "OKX Europe (eea.okx.com)"), ("us", "OKX US (us.okx.com)")),
            ),
        ),
        environments={PAPER: "Demo trading", LIVE: "Real money"},
        addresses=f"{_BIND} OKX deletes a trading key that has no IP address after 14 days without use.",
    ),
    LinkSpec(
        broker="binance",
        summary="Crypto spot. Testnet and live.",
        url="https://www.binance.com/en/my/settings/api-management",
        steps=(
            "Sign in at Binance, or at testnet.binance.vision for paper.",
            "Under API Management, create a system-generated (HMAC) key.",
            "Copy the key and the secret right away: the secret is shown only once.",
        ),
        rights=(
            Right(name="Enable Reading", wanted=True, why=_READ),
            Right(name="Enable Spot & Margin Trading", wanted=True, why=_TRADE),
            Right(name="Enable Withdrawals", wanted=False, why=_NEVER),
        ),
        fields=(_KEY, _SECRET),
        environments={PAPER: "The testnet, which has its own keys", LIVE: "Real money"},
        addresses=f"{_BIND} Without one, Binance removes the permission to trade after 90 days.",
    ),
    LinkSpec(
        broker="kraken",
        summary="Crypto spot. Live only.",
        url="https://www.kraken.com/u/security/api",
        steps=(
            "Sign in at Kraken and create a key under Settings, API.",
            "Use it for Tradelatch only: two programs sharing one key interfere with each other at Kraken.",
            "Copy the API key and the private key.",
        ),
        rights=(
            Right(name="Query funds, orders, trades and ledgers", wanted=True, why=_READ),
            Right(name="Create, modify, cancel and close orders", wanted=True, why=_TRADE),
            Right(name="Access WebSockets API", wanted=True, why="to hear from Kraken at once when an order fills"),
            Right(
                name="Withdraw funds", wanted=False, why="Kraken does not report this, so double-check that it is off"
            ),
        ),
        fields=(_KEY, LinkField(name="secret", label="Private key")),
        environments={LIVE: "Real money"},
        addresses=f"{_BIND} Kraken calls it IP address restriction.",
    ),
    LinkSpec(
        broker="coinbase",
        summary="Crypto spot through Advanced Trade. Live only.",
        url="https://portal.cdp.coinbase.com/access/api",
        steps=(
            "Sign in at the Coinbase Developer Platform and create a secret API key.",
            "Under Advanced settings, choose ECDSA as the signature algorithm, and choose the portfolio.",
            "Copy the key's name and its private key, from BEGIN to END.",
        ),
        rights=(
            Right(name="View", wanted=True, why=_READ),
            Right(name="Trade", wanted=True, why=_TRADE),
            Right(name="Transfer", wanted=False, why=_NEVER),
        ),
        fields=(
            LinkField(name="api_key", label="Name of the key", help="Such as organizations/…/apiKeys/…"),
            LinkField(name="secret", label="Private key", lines=5),
        ),
        environments={LIVE: "Real money"},
        addresses=f"{_BIND} It is called IP allowlist.",
    ),
    LinkSpec(
        broker="ibkr",
        way="gateway",
        heading="Interactive Brokers, through a gateway you run",
        called="Interactive Brokers",
        summary="Stocks, options, futures and forex, through IBKR's Client Portal Gateway. Paper and live.",
        url="https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/#gw-step-one",
        thing="address",
        steps=(
            "Download the Client Portal Gateway, unpack it, and start it: bin/run.sh root/conf.yaml. It needs Java.",
            "On that computer, open https://localhost:5000 in a browser and sign in. For paper, use the paper "
            "account's user name.",
            _IBKR_SESSION,
            "The session ends about once a day. Tradelatch then asks you to sign in again: repeat step 2.",
        ),
        rights=_IBKR_RIGHTS,
        fields=(
            LinkField(
                name="base_url",
                label="Address of the gateway",
                help="The address at which this instance can reach it.",
                is_secret=False,
                initial="https://localhost:5000/v1/api",
                read=_with_path,
            ),
        ),
        environments={PAPER: "A paper account (its number starts with DU)", LIVE: "Real money"},
        addresses=(
            "The gateway accepts calls from the addresses under ips, allow, in its conf.yaml. Anyone who can reach it "
            "can reach the account: allow only this instance."
        ),
        binds_addresses=False,
        sign_in="Open the gateway's page in a browser and sign in, then press Check now.",
    ),
    LinkSpec(
        broker="ibkr",
        way="oauth",
        heading="Interactive Brokers, through OAuth 1.0a",
        called="Interactive Brokers",
        summary="Without a gateway, for IBKR Pro accounts that have created their own keys. Paper and live.",
        url="https://ndcdyn.interactivebrokers.com/sso/Login?action=OAUTH&RL=1&ip2loc=US",
        steps=(
            "Make two RSA keys and the parameters: openssl genrsa -out private_signature.pem 2048, the same for "
            "private_encryption.pem, and openssl dhparam -out dhparam.pem 2048.",
            "Sign in at IBKR's page for OAuth, choose a consumer key of nine letters, and upload the two public keys "
            "(openssl rsa -pubout) and dhparam.pem.",
            "Generate the access token and its secret there, and copy both. IBKR can take until the next day to "
            "activate them.",
            _IBKR_SESSION,
        ),
        rights=_IBKR_RIGHTS,
        fields=(
            LinkField(name="consumer_key", label="Consumer key", help="The nine letters you chose."),
            LinkField(name="access_token", label="Access token"),
            LinkField(name="access_token_secret", label="Access token secret", lines=4, read=_joined),
            LinkField(name="encryption_key", label="Encryption key", help="All of private_encryption.pem.", lines=5),
            LinkField(name="signature_key", label="Signature key", help="All of private_signature.pem.", lines=5),
            LinkField(name="dh_prime", label="Parameters", help="All of dhparam.pem.", lines=5, read=_prime),
        ),
        environments={PAPER: "A paper account (its number starts with DU)", LIVE: "Real money"},
        addresses=f"{_BIND} IBKR sets this per user name, under Settings, Users and access rights.",
        sign_in="Close the other program that took the session over, then press Check now.",
    ),
    LinkSpec(
        broker="tws",
        called="TWS",
        summary="The same accounts through a TWS or IB Gateway you run. Not yet tested against a real one.",
        url="https://www.interactivebrokers.com/en/trading/ibgateway-stable.php",
        thing="address",
        steps=(
            "Start TWS or IB Gateway and sign in. For paper, sign in to paper trading.",
            "Under Configure, API, Settings, tick Enable ActiveX and Socket Clients, and note the socket port.",
            "Leave Read-Only API ticked for a read-only connection; untick it to trade.",
            "Choose a client id that no other program uses: an order can only be cancelled with the id it was sent "
            "with.",
            "TWS signs out once a day, unless Auto restart is on. Tradelatch then cannot reach it until you sign in.",
        ),
        rights=_IBKR_RIGHTS,
        fields=(
            LinkField(
                name="host", label="Computer", help="Its host name or IP address.", is_secret=False, initial="127.0.0.1"
            ),
            LinkField(
                name="port",
                label="Port",
                help="IB Gateway: 4002 paper, 4001 live. TWS: 7497 paper, 7496 live.",
                is_secret=False,
                initial="4002",
                most=65535,
            ),
            LinkField(name="client_id", label="Client id", is_secret=False, initial="21", most=999_999),
        ),
        environments={PAPER: "A paper account (its number starts with DU)", LIVE: "Real money"},
        addresses=(
            "If TWS runs on another computer, add this instance to Trusted IPs there. The traffic between the two is "
            "not encrypted: keep them on one computer or one private network."
        ),
        binds_addresses=False,
    ),
    LinkSpec(
        broker="crosstrade",
        summary="Futures in NinjaTrader 8, through the CrossTrade add-on. Its simulator and live.",
        url="https://app.crosstrade.io/user/my-account",
        steps=(
            "Install the CrossTrade add-on in NinjaTrader 8 and connect it. The API needs CrossTrade's Pro plan.",
            "At CrossTrade, under My Account, copy the secret key.",
            "In NinjaTrader, find the account's name under Accounts, such as Sim101.",
            "Keep NinjaTrader running: without it, nothing can be read or sent.",
        ),
        rights=(
            Right(name="Everything the key can do", wanted=True, why="CrossTrade's key has no separate permissions"),
            Right(
                name="Other accounts",
                wanted=False,
                why="One key reaches every account in NinjaTrader. Tradelatch uses only the one you name",
            ),
        ),
        fields=(
            LinkField(name="token", label="Secret key"),
            LinkField(
                name="account",
                label="Account",
                help="Its exact name in NinjaTrader.",
                is_secret=False,
                initial="Sim101",
                with_blanks=True,
            ),
        ),
        environments={
            PAPER: "I confirm that this is NinjaTrader's simulator, with no real money. Its name is Sim and a number",
            LIVE: "Real money: every account other than the simulator",
        },
        picked_by_person=True,
        paper_settings={"simulation": True},
        addresses="CrossTrade cannot restrict a key to IP addresses.",
        binds_addresses=False,
    ),
    LinkSpec(
        broker="krakenfutures",
        summary="Crypto futures: perpetuals and dated contracts settled in dollars. Demo and live.",
        url="https://futures.kraken.com/settings/api",
        steps=(
            "Sign in at Kraken and open Futures. For paper, use demo-futures.kraken.com, which has separate accounts.",
            "Under Settings, API keys, create a key.",
            "Copy the public and private key right away: the private key is shown only once.",
        ),
        rights=(
            Right(
                name="General API: full access",
                wanted=True,
                why="to send orders you confirm; read only is enough for a read-only connection",
            ),
            Right(
                name="Withdrawal API", wanted=False, why="Kraken does not report this, so double-check that it is off"
            ),
        ),
        fields=(LinkField(name="api_key", label="Public key"), LinkField(name="secret", label="Private key")),
        environments={PAPER: "The demo environment, which has its own keys", LIVE: "Real money"},
        addresses=f"{_BIND} Kraken calls it the IP allowlist.",
    ),
)

KINDS: dict[str, LinkSpec] = {each.slug: each for each in _ALL}
"""By the name it has in addresses of pages."""


def find(broker: str, settings: Mapping[str, Any]) -> LinkSpec | None:
    """How such a connection was linked; None for one that is not linked by a page."""
    way = str(settings.get("way") or "")
    return KINDS.get(f"{broker}-{way}" if way else broker)
