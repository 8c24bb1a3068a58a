"""Every setting read from the environment: its default and what it does. Rendered as docs/reference/settings.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    names: tuple[str, ...]
    default: str
    about: str


def _one(name: str, default: str, about: str) -> Variable:
    return Variable((name,), default, about)


VARIABLES = (
    Variable(("PORT", "TRADELATCH_HOST"), "`8000`, `127.0.0.1`", "where the server listens"),
    _one(
        "TRADELATCH_PUBLIC_URL",
        "`http://tradelatch.localhost:PORT` or `http://localhost:PORT`",
        "the address people and hosts use; behind a proxy, its https address. It can have a path, such as "
        "`https://example.com/desk`; see [Under a path](../operate/deploying.md#under-a-path). The first is the "
        "default if the computer resolves that name and the server listens only locally; this is decided at the first "
        "start and kept. `http://localhost:PORT/mcp` works for both",
    ),
    _one(
        "TRADELATCH_HOME",
        "`var/`; installed as a package, `~/.local/share/tradelatch`",
        "database, generated secrets, queue, e-mail files; back it up, and keep it private",
    ),
    _one(
        "TRADELATCH_SECRET_KEY",
        "generated at first start",
        "signs sessions; kept in `secrets/` under the home folder. Several, separated by spaces: the first signs, all "
        "are accepted",
    ),
    _one(
        "TRADELATCH_SEED_KEYS",
        "generated at first start",
        "encrypts the seeds of authenticator apps; kept like the one above. Several, separated by spaces: the first "
        "encrypts, all decrypt",
    ),
    _one(
        "TRADELATCH_VAULT_KEYS",
        "generated at first start",
        "encrypts broker credentials; different from the one above. Several, separated by spaces, newest first: the "
        "first encrypts, all decrypt; see"
        " [Rotate secrets](../operate/rotation.md)",
    ),
    _one(
        "TRADELATCH_OUTGOING_ADDRESSES",
        "none",
        "IP addresses that brokers see your calls come from, separated by spaces; the linking pages show them so that "
        "people can restrict their keys to them",
    ),
    _one(
        "TRADELATCH_BROKER_ADDRESSES",
        "this computer, only for operators, if the server listens only locally and its public address is local; "
        "otherwise none",
        "computers on which people can run IBKR's gateway or TWS, separated by spaces: `10.0.0.5`, `10.0.0.0/24`, "
        "`desk.lan`, each also with a port (`[fd00::5]:5000`); a host name allows whatever it resolves to. If not "
        "set, only operators can link a gateway",
    ),
    _one(
        "TRADELATCH_PLATFORM_SIGNING_KEY",
        "generated at first use",
        "signs platform tokens: a private P-256 JWK on one line; the same on every machine",
    ),
    _one(
        "TRADELATCH_AUDIT_KEY",
        "made at the first seal",
        "path of the PEM file with the Ed25519 key that signs the seals of the record; see "
        "[The sealed record](../operate/sealed-record.md)",
    ),
    _one(
        "TRADELATCH_AUDIT_COPY",
        "none",
        "path of a file at whose end each new seal is put, as one line of JSON; best on another computer or on storage "
        "that only appends",
    ),
    _one("TRADELATCH_KEEP_CALLS_DAYS", "`0`", "days for which calls are kept; `0` keeps them for ever"),
    _one(
        "TRADELATCH_KEEP_CHANGES_DAYS", "`0`", "days for which changes and sign-ins are kept; `0` keeps them for ever"
    ),
    _one("TRADELATCH_KEEP_LETTERS_DAYS", "`30`", "days for which it is kept that an e-mail was sent or failed"),
    _one("TRADELATCH_KEEP_ERRORS_DAYS", "`90`", "days for which a cause of errors is kept after it was last seen"),
    _one(
        "TRADELATCH_KEEP_ORDER_STEPS_DAYS",
        "`0`",
        "days for which the steps of an order are kept after it ended; `0` keeps them for ever, as orders always are",
    ),
    _one("TRADELATCH_API_KEY", "none", "the key of `tradelatch mcp`, `call` and `tools`; the server does not read it"),
    _one("TRADELATCH_DATABASE_URL", "SQLite in the home folder", "`postgres://…` for more than one machine"),
    _one("TRADELATCH_DATABASE_POOL", "`16`", "maximum PostgreSQL connections per process"),
    _one("TRADELATCH_REDIS_URL", "none", "Celery's queue and the call quota, shared by all processes"),
    _one("TRADELATCH_BROKER_URL", "Redis, or files in the home folder", "Celery's queue only"),
    _one("TRADELATCH_CALLS_PER_MINUTE", "`60`", "calls per minute of one user, over all apps"),
    _one("TRADELATCH_TRADE_CALLS_PER_MINUTE", "`30`", "trading calls per minute of one user"),
    _one(
        "TRADELATCH_LISTS_PER_MINUTE",
        "`120`",
        "list and initialize requests of one app at `/mcp`: what a host sends before it calls anything",
    ),
    _one(
        "TRADELATCH_FASTEST_ANSWER_MS",
        "`1000`",
        "milliseconds. An answer to a question in the client that comes sooner was given by the program itself, so it "
        "is nobody's yes or no. `0`, for tests of a client alone, takes every answer for a person's",
    ),
    _one(
        "TRADELATCH_TRUSTED_PROXIES",
        "none",
        "addresses and networks of the proxies in front, separated by spaces or commas, such as `127.0.0.1` or "
        "`10.0.0.0/24`. `X-Forwarded-For` and `X-Forwarded-Proto` are trusted only from these",
    ),
    _one("TRADELATCH_ALLOWED_ORIGINS", "none", "web pages that can call `/mcp`, separated by spaces"),
    _one(
        "TRADELATCH_ADVERTISE_ISS",
        "`1`",
        "`0` leaves RFC 9207's `iss` out of discovery, for hosts that do not handle it (Codex 0.143, 0.144)",
    ),
    _one("TRADELATCH_SENDING_LEASE_SECONDS", "`30`", "seconds a send can take before its order is looked up"),
    _one(
        "TRADELATCH_SELF_REGISTRATION",
        "`open`",
        "apps that register themselves: `open`, `review` (an operator accepts each one first, under Apps to review) "
        "or `off` (only clients registered by hand; discovery says so)",
    ),
    _one("TRADELATCH_EMAIL_FROM", "`tradelatch@` the public host", "sender of e-mails"),
    _one("TRADELATCH_OWNER_EMAIL", "`owner@tradelatch.local`", "e-mail address of the first account"),
    _one("TRADELATCH_REQUIRE_SECOND_FACTOR", "`0`", "`1`: everyone needs a passkey or an authenticator app"),
    Variable(("TRADELATCH_GOOGLE_CLIENT_ID", "TRADELATCH_GOOGLE_CLIENT_SECRET"), "none", "sign in with Google"),
    Variable(
        (
            "TRADELATCH_OIDC_ISSUER",
            "TRADELATCH_OIDC_CLIENT_ID",
            "TRADELATCH_OIDC_CLIENT_SECRET",
            "TRADELATCH_OIDC_NAME",
        ),
        "none",
        "sign in with any OpenID Connect provider; the name is what the button says",
    ),
    _one(
        "TRADELATCH_SMTP_URL",
        "none",
        "`smtp://user:password@host:port` (STARTTLS when there is a user) or `smtps://…`; without it, each e-mail is "
        "a file in `letters/` under the home folder, kept for 30 days; the log names the file",
    ),
    _one(
        "TRADELATCH_PUSH_KEY",
        "generated at first start",
        "the key push services know this instance by: a private P-256 key, 32 bytes as base64url; the same on every "
        "machine. With a new one, people enable notifications again on each device",
    ),
    Variable(
        ("TRADELATCH_TELEGRAM_TOKEN", "TRADELATCH_TELEGRAM_BOT"),
        "none",
        "the token and the name of a bot that @BotFather made for this instance alone; people can then get "
        "notifications in Telegram",
    ),
    _one("TRADELATCH_TELEGRAM_API", "`https://api.telegram.org`", "a Bot API server of your own"),
    _one(
        "TRADELATCH_NOTIFY_ADDRESSES",
        "this computer, only for operators, if the server listens only locally and its public address is local; "
        "otherwise none",
        "private computers that notifications can be sent to, such as an ntfy server at home; written like "
        "`TRADELATCH_BROKER_ADDRESSES`. Public https addresses are always allowed, private ones never unless listed",
    ),
    _one(
        "TRADELATCH_METRICS_TOKEN",
        "none",
        "at least 16 characters; who sends it as a bearer can read `/metrics`. Several, separated by spaces, while one "
        "is replaced. Without it, that address does not exist",
    ),
    _one(
        "TRADELATCH_LOG_FORMAT",
        "`text`",
        "`json`: each line of the log is one object with time (UTC), level, logger, message, process, and where there "
        "is one request_id, trace_id and exception",
    ),
    _one(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "none",
        "where spans go, by OTLP over HTTP, such as `http://collector:4318`; needs the extra `otel`. Its other "
        "variables are those of the OpenTelemetry specification",
    ),
    _one(
        "TRADELATCH_DEVELOPMENT",
        "`0`",
        "`1`: templates and static files are read again for each page; `make dev` sets it",
    ),
)
