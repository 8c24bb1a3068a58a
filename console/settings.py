"""Settings, every one of them from the environment. Names start with TRADELATCH_, only PORT goes bare."""

import os
import re
import socket
import sys
import tomllib
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import django_htmx
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from brokers import allowed_hosts
from console import ip_addresses, scopes, telemetry
from console.config import email, instance_dir, oidc, push_key, static_files, telegram

BASE_DIR = Path(__file__).resolve().parent.parent
# A checkout, or an installed package: that one has its templates in console, and its data in the person's own folder.
_CHECKOUT = (BASE_DIR / "manage.py").is_file()
VERSION: str = (
    tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
    if _CHECKOUT
    else metadata.version("tradelatch")
)


def _number(name: str, default: int, *, least: int = 1) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}, not {text!r}.")
    return int(text)


def _flag(name: str, default: str = "0") -> bool:
    text = os.environ.get(name, default)
    if text not in ("0", "1"):
        raise ImproperlyConfigured(f"{name} must be 0 or 1, not {text!r}.")
    return text == "1"


# For who changes the code: templates and static files are read again for each page
DEVELOPMENT = _flag("TRADELATCH_DEVELOPMENT")

# Where it lives: in files that only this user can read, also in a home that was there before
os.umask(0o077)
_HOME = os.environ.get("TRADELATCH_HOME") or (BASE_DIR / "var" if _CHECKOUT else instance_dir.own_data())
HOME = instance_dir.open_home(Path(_HOME).absolute())
PORT = _number("PORT", 8000)
HOST = os.environ.get("TRADELATCH_HOST", "127.0.0.1")
PUBLIC_URL = os.environ.get("TRADELATCH_PUBLIC_URL", "").rstrip("/")
if not PUBLIC_URL:
    PUBLIC_URL = f"http://{instance_dir.local_name(HOME, listens=HOST)}:{PORT}"
_PUBLIC = urlsplit(PUBLIC_URL)
if _PUBLIC.scheme not in ("http", "https") or not _PUBLIC.hostname or _PUBLIC.query or _PUBLIC.fragment:
    raise ImproperlyConfigured(
        f"TRADELATCH_PUBLIC_URL must be an address such as https://desk.example.com, not {PUBLIC_URL!r}."
    )
# The path it is served under, such as /desk; "" at the root of its host
BASE_PATH = _PUBLIC.path
if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", BASE_PATH):
    raise ImproperlyConfigured(
        f"The path in TRADELATCH_PUBLIC_URL can have letters, digits and - . _ ~, not {BASE_PATH!r}."
    )
ORIGIN = f"{_PUBLIC.scheme}://{_PUBLIC.netloc}"
ISSUER = PUBLIC_URL
MCP_URL = f"{PUBLIC_URL}/mcp"
ALLOWED_HOSTS = sorted({_PUBLIC.hostname, "localhost", "127.0.0.1", "[::1]"})
# An instance of one computer answers to all of its names; its pages and its passkeys belong to the public one.
LOCAL_NAMES = (
    frozenset({_PUBLIC.hostname, "localhost", "127.0.0.1", "::1"})
    if _PUBLIC.scheme == "http" and _PUBLIC.hostname in ("localhost", instance_dir.OWN_NAME)
    else frozenset()
)
CSRF_TRUSTED_ORIGINS = [ORIGIN]
# Web pages that may call /mcp from a browser. None but our own is needed by any host that runs outside one.
ALLOWED_ORIGINS = [ORIGIN, *os.environ.get("TRADELATCH_ALLOWED_ORIGINS", "").split()]

# Apps that nobody here registered by hand: open, review (an operator looks first) or off
SELF_REGISTRATION = os.environ.get("TRADELATCH_SELF_REGISTRATION", "open")
if SELF_REGISTRATION not in ("open", "review", "off"):
    raise ImproperlyConfigured(f"TRADELATCH_SELF_REGISTRATION must be open, review or off, not {SELF_REGISTRATION!r}.")

# Data
DATABASE_NAMES = "tradelatch "
"""How PostgreSQL's list of sessions names those of ours, before machine and process."""
DATABASE_URL = os.environ.get("TRADELATCH_DATABASE_URL", f"sqlite:///{HOME / 'tradelatch.sqlite3'}")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
_database = DATABASES["default"]
EMBEDDED_DATABASE = _database["ENGINE"] == "django.db.backends.sqlite3"
if EMBEDDED_DATABASE:
    # REST framework looks for the fields of PostgreSQL, and so loads psycopg: 6 MB and a tenth of a start for nothing.
    sys.modules.setdefault("django.contrib.postgres.fields", None)  # type: ignore[arg-type]  # Python's way to say no
    # IMMEDIATE: a read-then-write transaction that has to upgrade its lock fails at once with "database is
    # locked". FULL: an order's intent must survive a power cut. The connection stays with its thread.
    _database["CONN_MAX_AGE"] = None
    _database["OPTIONS"] = _database.get("OPTIONS", {}) | {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864",
    }
else:
    # A kept connection belongs to a thread, and ASGI makes many threads: the pool bounds them instead.
    _database["CONN_MAX_AGE"] = 0
    _database["OPTIONS"] = {"application_name": f"{DATABASE_NAMES}{socket.gethostname()}:{os.getpid()}"[:63]} | (
        _database.get("OPTIONS", {})
    )
    _database["OPTIONS"] |= {
        "pool": {
            "min_size": 2,
            "max_size": _number("TRADELATCH_DATABASE_POOL", 16, least=2),
            "timeout": 5,
            "max_lifetime": 1800,
            "max_idle": 300,
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_DATABASE_EXISTS = EMBEDDED_DATABASE and Path(str(_database["NAME"])).exists()
# Several, separated by blanks: the first signs, what all of them signed is good.
_secret_keys = instance_dir.secret(HOME, "secret_key", database_exists=_DATABASE_EXISTS).split()
SECRET_KEY, *SECRET_KEY_FALLBACKS = _secret_keys or [""]
# Seals what must be read back: the seeds of authenticator apps, where notifications go. Several, separated by blanks:
# the first seals, all of them open.
_SEALED = _DATABASE_EXISTS and any(
    instance_dir.holds(Path(str(_database["NAME"])), table)
    for table in ("mfa_authenticator", "notifications_notificationchannel")
)
SEED_KEYS = instance_dir.secret(HOME, "seed_keys", database_exists=_SEALED).split()
# Seals brokers' credentials, apart from the above. The first is the newest: it seals, and vault_rotate seals anew.
_LINKED = _DATABASE_EXISTS and instance_dir.holds(
    Path(str(_database["NAME"])), "connections_connection", "sealed != ''"
)
CREDENTIAL_KEYS = instance_dir.secret(HOME, "vault_keys", database_exists=_LINKED).split()

REDIS_URL = os.environ.get("TRADELATCH_REDIS_URL", "")
CACHES = {
    "default": (
        {
            "BACKEND": "console.config.shared_cache.SharedCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
        }
        if REDIS_URL
        # Counters of failed sign-ins live here: with the default of 300 entries a flood would evict them.
        else {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    )
}

# The record: the key that signs its seals, where copies of them go, and for how many days what is kept (0: for ever)
AUDIT_KEY_FILE = os.environ.get("TRADELATCH_AUDIT_KEY", "")
if AUDIT_KEY_FILE and not Path(AUDIT_KEY_FILE).is_file():
    raise ImproperlyConfigured(f"TRADELATCH_AUDIT_KEY must be the path of a file with a key in PEM: {AUDIT_KEY_FILE}.")
AUDIT_KEY_FILE = AUDIT_KEY_FILE or str(HOME / "secrets" / "audit_key.pem")
AUDIT_COPY_FILE = os.environ.get("TRADELATCH_AUDIT_COPY", "")
KEEP_DAYS = {
    "calls": _number("TRADELATCH_KEEP_CALLS_DAYS", 0, least=0),
    "changes": _number("TRADELATCH_KEEP_CHANGES_DAYS", 0, least=0),
    "letters": _number("TRADELATCH_KEEP_LETTERS_DAYS", 30),
    "errors": _number("TRADELATCH_KEEP_ERRORS_DAYS", 90),
    "order_events": _number("TRADELATCH_KEEP_ORDER_STEPS_DAYS", 0, least=0),
}

# Who may read /metrics, any of these; without them there is none
METRICS_TOKENS = os.environ.get("TRADELATCH_METRICS_TOKEN", "").split()
if any(len(each) < 16 or not each.isascii() for each in METRICS_TOKENS):
    raise ImproperlyConfigured("TRADELATCH_METRICS_TOKEN must be at least 16 characters of ASCII.")

# Brokers: what our calls seem to come from, for the lists of addresses that brokers bind a key to
try:
    OUTGOING_ADDRESSES = [str(ip_address(each)) for each in os.environ.get("TRADELATCH_OUTGOING_ADDRESSES", "").split()]
except ValueError as error:
    raise ImproperlyConfigured(f"TRADELATCH_OUTGOING_ADDRESSES: {error}.") from error
# Computers on which people may have a gateway of their own (IBKR's, TWS)
try:
    _own_hosts = (HOST,) if _PUBLIC.hostname == instance_dir.OWN_NAME else (_PUBLIC.hostname, HOST)
    BROKER_ADDRESSES = allowed_hosts.listed(os.environ.get("TRADELATCH_BROKER_ADDRESSES"), own_hosts=_own_hosts)
except ValueError as error:
    raise ImproperlyConfigured(f"TRADELATCH_BROKER_ADDRESSES: {error}.") from error
# Where nobody listed any, operators alone link a gateway.
GATEWAYS_OF_EVERYBODY = "TRADELATCH_BROKER_ADDRESSES" in os.environ
# Broker → settings that win over a connection's own: tests put servers on this computer in the place of brokers.
BROKER_OVERRIDES: dict[str, dict[str, object]] = {}

# Limits
CALLS_PER_MINUTE = _number("TRADELATCH_CALLS_PER_MINUTE", 60)
TRADE_CALLS_PER_MINUTE = _number("TRADELATCH_TRADE_CALLS_PER_MINUTE", 30)
CANCELS_PER_MINUTE = 120
# What one app may ask before it calls anything: initialize, ping, discovery and the lists.
LISTS_PER_MINUTE = _number("TRADELATCH_LISTS_PER_MINUTE", 120)
MAX_BODY_BYTES = 256 * 1024
CONFIRMATION_SECONDS = 120
# What answers a question sooner than a person can read it is a program; 0 takes every answer for a person's.
FASTEST_ANSWER_MS = _number("TRADELATCH_FASTEST_ANSWER_MS", 1000, least=0)
SENDING_LEASE_SECONDS = _number("TRADELATCH_SENDING_LEASE_SECONDS", 30)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# Django
ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
ASGI_APPLICATION = "console.asgi.application"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = LOGOUT_REDIRECT_URL = f"{BASE_PATH}/sign-in/"
LOGIN_REDIRECT_URL = f"{BASE_PATH}/"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.forms",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "rest_framework",
    "oauth2_provider",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "brokers.paper",
    "console",
    "console.charts",
    "console.accounts",
    "console.audit",
    "console.outbox",
    "console.notifications",
    "console.clients",
    "console.connections",
    "console.connected_apps",
    "console.halts",
    "console.keys",
    "console.oauth",
    "console.platforms",
    "console.orders",
    "console.plans",
    "console.journal",
    "console.operator",
    "console.timeline",
    "console.desk",
    "console.alerts",
    "console.signals",
    "console.recent_errors",
    "console.onboarding",
    "console.operations",
]
MIDDLEWARE = [
    # Pads what it sends, so that its length tells nothing of a secret in it (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "console.middleware.normalize_address",
    "console.middleware.remember_origin",
    "console.middleware.refuse_nul",
    "console.middleware.escape_hidden_characters",
    "console.middleware.redirect_to_own_name",
    "django.middleware.security.SecurityMiddleware",
    "console.static_files.Middleware",
    "csp.middleware.CSPMiddleware",
    "console.middleware.refuse_foreign_host",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "console.middleware.show_times_of_viewer",
    "allauth.account.middleware.AccountMiddleware",
    "console.accounts.second_factor_required.SecondFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "console.middleware.keep_keys_out_of_addresses",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
_LOADERS = ["console.page_templates.Loader", "console.page_templates.AppLoader"]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates" if _CHECKOUT else BASE_DIR / "console" / "templates"],
        "OPTIONS": {
            "loaders": _LOADERS if DEVELOPMENT else [("django.template.loaders.cached.Loader", _LOADERS)],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.onboarding.context.instance",
            ],
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# allauth brings authenticator apps, passkeys and recovery codes; the pages and the way in are ours.
MFA_ADAPTER = "console.accounts.allauth_adapter.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Tradelatch"
MFA_TOTP_TOLERANCE = 1  # a code typed as it changed, or on a phone half a minute off
MFA_WEBAUTHN_USER_VERIFICATION = "required"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
REQUIRE_SECOND_FACTOR = _flag("TRADELATCH_REQUIRE_SECOND_FACTOR")
IDENTITY_PROVIDERS = oidc.providers(os.environ)

# E-mail: files in the home until a mail server is named
LETTERS_FOLDER = HOME / "letters"
EMAIL_BACKEND, _SMTP = email.backend(os.environ.get("TRADELATCH_SMTP_URL", ""))
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _SMTP.host, _SMTP.port, _SMTP.user, _SMTP.password
EMAIL_USE_SSL, EMAIL_USE_TLS, EMAIL_TIMEOUT = _SMTP.tls, _SMTP.starttls, 10
DEFAULT_FROM_EMAIL = os.environ.get("TRADELATCH_EMAIL_FROM", f"Tradelatch <tradelatch@{_PUBLIC.hostname}>")

# Notifications beside e-mail. Losing the push key costs each device one press of a button.
PUSH_KEY = instance_dir.secret(HOME, "push_key", database_exists=False, make=push_key.generate)
try:
    push_key.parse(PUSH_KEY)
except ValueError as error:
    raise ImproperlyConfigured("TRADELATCH_PUSH_KEY must be a private P-256 key: 32 bytes as base64url.") from error
TELEGRAM = telegram.bot(os.environ)
# Private computers that messages may be sent to, such as an ntfy server at home
try:
    NOTIFY_ADDRESSES = allowed_hosts.listed(os.environ.get("TRADELATCH_NOTIFY_ADDRESSES"), own_hosts=_own_hosts)
except ValueError as error:
    raise ImproperlyConfigured(f"TRADELATCH_NOTIFY_ADDRESSES: {error}.") from error
# Where nobody listed any, operators alone send to this computer.
NOTIFY_ADDRESSES_OF_EVERYBODY = "TRADELATCH_NOTIFY_ADDRESSES" in os.environ

# The texts under Help
DOCS_DIR = BASE_DIR / "docs" if _CHECKOUT else BASE_DIR / "console" / "docs"

STATIC_URL = f"{BASE_PATH}/static/"
STATICFILES_DIRS = [
    BASE_DIR / "console" / "static",
    ("django_htmx", Path(django_htmx.__file__).parent / "static" / "django_htmx"),
]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STATIC_ROOT = static_files.folder(HOME, [BASE_DIR / "console" / "static", Path(django_htmx.__file__).parent / "static"])
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEVELOPMENT
        else "console.static_files.Storage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEVELOPMENT

# Security
_SECURE = _PUBLIC.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _SECURE
# Browsers take __Host- for cookies of a whole host alone.
COOKIE_PREFIX = ("__Secure-" if BASE_PATH else "__Host-") if _SECURE else "tradelatch_"
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}session"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrf"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = BASE_PATH or "/"
SESSION_COOKIE_SAMESITE = "Lax"
# The table has a digest of the key in the cookie: see there.
SESSION_ENGINE = "console.accounts.session_store"
CSRF_COOKIE_HTTPONLY = True
CSRF_USE_SESSIONS = False
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# A host that opens sign-in and consent in a window watches that window; with a policy it looks closed at once.
SECURE_CROSS_ORIGIN_OPENER_POLICY = None
SECURE_HSTS_SECONDS = 31536000 if _SECURE else 0
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _PUBLIC.scheme
# X-Forwarded-For and -Proto are believed from these and from nobody else: see console.trusted_proxies
try:
    TRUSTED_PROXIES = ip_addresses.parse_networks(os.environ.get("TRADELATCH_TRUSTED_PROXIES", ""))
except ValueError as error:
    raise ImproperlyConfigured(f"TRADELATCH_TRUSTED_PROXIES: {error}.") from error
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# OAuth: what is not set here is decided in console.oauth
OAUTH2_PROVIDER_APPLICATION_MODEL = "clients.Client"
OAUTH2_PROVIDER_GRANT_MODEL = "oauth.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "oauth.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "oauth.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "oauth.IDToken"
# RFC 9207. Codex 0.143 and 0.144 drop the parameter and then miss it; not advertised, they let it go.
ADVERTISE_ISS = _flag("TRADELATCH_ADVERTISE_ISS", "1")
OAUTH2_PROVIDER: dict[str, Any] = {
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.WebApplicationServer",  # code and refresh grants, no others
    "OAUTH2_VALIDATOR_CLASS": "console.oauth.validator.Validator",
    # Our own code reads metadata documents, on the authorization endpoint alone: the toolkit would do it in the
    # token endpoint's transaction as well.
    "CIMD_METADATA_FETCHER": "console.clients.metadata_fetching.Fetcher",
    "OIDC_ISS_ENDPOINT": ISSUER,
    "SCOPES": {each.value: scopes.label(frozenset({each})) for each in scopes.ALL},
    "ACCESS_TOKEN_GENERATOR": "console.oauth.token_format.access_token",
    "REFRESH_TOKEN_GENERATOR": "console.oauth.token_format.refresh_token",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86400,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOW_LOCALHOST_LOOPBACK": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
}

# REST: what an endpoint answers is decided in console.api; this is what its description says
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "console.api.openapi.Described"}  # loaded when the description is asked for
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Tradelatch REST API",
    "DESCRIPTION": "Amounts are decimal text, times are in UTC. Refusals are RFC 9457 problem details.",
    "VERSION": VERSION,
    "SERVERS": [{"url": ORIGIN}],
    "SCHEMA_PATH_PREFIX": f"{re.escape(BASE_PATH)}/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key, tl_…"},
            "platform": {"type": "http", "scheme": "bearer", "description": "A platform's token for one user"},
            "management": {"type": "http", "scheme": "bearer", "description": "A management key, tl_manage_…"},
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": SESSION_COOKIE_NAME,
                "description": "The console's own session; changes also need its CSRF token as X-CSRFToken. Requests "
                "that allow more than before are refused with re_authentication_required and a "
                "challenge bound to the request: send the same request again with the member proof.",
            },
        }
    },
}

# Background work: state machines in the database; Celery only nudges, beat sweeps
CELERY_BROKER_URL = os.environ.get("TRADELATCH_BROKER_URL") or REDIS_URL or "files://localhost"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
EMBEDDED_QUEUE = CELERY_BROKER_URL.startswith(("files:", "filesystem:"))
if EMBEDDED_QUEUE:
    CELERY_BROKER_URL = "files://localhost"  # console.embedded_queue, whose files are whole
    _queue = instance_dir.queue_folder(HOME)
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # a queue of its own to poll, for commands nobody sends here
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue / "messages"),
        "data_folder_out": str(_queue / "messages"),
        "control_folder": str(_queue / "control"),
        "polling_interval": 0.2,
    }
CELERY_BEAT_SCHEDULER = "console.operations.scheduler:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "worker-seen": {"task": "console.operations.tasks.seen", "schedule": 30.0, "options": {"expires": 60}},
    "forget-workers": {"task": "console.operations.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "sweep-orders": {"task": "console.orders.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "carry-plans-on": {"task": "console.plans.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "listen-to-orders": {
        "task": "console.operations.tasks.listen_to_orders",
        "schedule": 2.0,
        "options": {"expires": 10},
    },
    "send-mail": {"task": "console.outbox.tasks.send_due", "schedule": 2.0, "options": {"expires": 10}},
    "forget-mail": {"task": "console.outbox.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "tell-owners": {"task": "console.orders.tasks.tell_owners", "schedule": 2.0, "options": {"expires": 10}},
    "send-news": {"task": "console.notifications.tasks.send_due", "schedule": 2.0, "options": {"expires": 10}},
    "link-chats": {"task": "console.notifications.tasks.link_chats", "schedule": 5.0, "options": {"expires": 10}},
    "prepare-signals": {"task": "console.signals.tasks.prepare_due", "schedule": 2.0, "options": {"expires": 10}},
    "forget-signals": {"task": "console.signals.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "tell-of-orders": {"task": "console.orders.tasks.tell_of_orders", "schedule": 5.0, "options": {"expires": 10}},
    "tell-of-keys": {"task": "console.keys.tasks.tell_of_ends", "schedule": 3600.0, "options": {"expires": 600}},
    "forget-news": {"task": "console.notifications.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "look-at-alerts": {"task": "console.alerts.tasks.look", "schedule": 5.0, "options": {"expires": 10}},
    "forget-alerts": {"task": "console.alerts.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "look-outside": {"task": "console.orders.tasks.look_outside", "schedule": 30.0, "options": {"expires": 30}},
    "match-paper-orders": {"task": "brokers.paper.tasks.match_resting", "schedule": 2.0, "options": {"expires": 10}},
    "follow-live-prices": {
        "task": "brokers.paper.tasks.follow_live_prices",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "seal-record": {"task": "console.audit.tasks.seal_record", "schedule": 10.0, "options": {"expires": 10}},
    "drop-old-rows": {"task": "console.audit.tasks.drop_old_rows", "schedule": 3600.0, "options": {"expires": 600}},
    "drop-old-order-steps": {
        "task": "console.orders.tasks.drop_old_events",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "check-record": {"task": "console.audit.tasks.check_record", "schedule": 900.0, "options": {"expires": 600}},
    "check-whole-record": {
        "task": "console.audit.tasks.check_whole_record",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "count-failed-sign-ins": {
        "task": "console.audit.tasks.count_failed_sign_ins",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "forget-what-ended": {"task": "console.oauth.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "thin-equity": {"task": "console.connections.tasks.thin_equity", "schedule": 3600.0, "options": {"expires": 600}},
    "keep-journals": {"task": "console.journal.tasks.keep", "schedule": 60.0, "options": {"expires": 60}},
    "end-playgrounds": {
        "task": "console.onboarding.tasks.end_playgrounds",
        "schedule": 300.0,
        "options": {"expires": 120},
    },
    "count-calls": {"task": "console.recent_errors.tasks.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "forget-counts": {"task": "console.recent_errors.tasks.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "check-connections": {"task": "console.connections.tasks.check_all", "schedule": 30.0, "options": {"expires": 60}},
}
# What is due every few seconds is sent only when there is something to do: one short look costs less than a message.
SCHEDULE_GATES = {
    "sweep-orders": "console.orders.execution.reconcile.has_work",
    "carry-plans-on": "console.plans.execution.has_work",
    "listen-to-orders": "console.operations.order_listener.has_work",
    "send-mail": "console.outbox.mailer.has_work",
    "tell-owners": "console.orders.owner.notifications.has_work",
    "prepare-signals": "console.signals.preparing.has_work",
    "send-news": "console.notifications.sending.has_work",
    "link-chats": "console.notifications.telegram_chats.has_work",
    "tell-of-orders": "console.orders.owner.order_news.has_work",
    "look-at-alerts": "console.alerts.evaluation.has_work",
    "seal-record": "console.audit.seals.sealing.has_work",
    "count-calls": "console.recent_errors.rollup.has_work",
    "match-paper-orders": "brokers.paper.accounts.has_work",
    "follow-live-prices": "brokers.paper.live_market.has_work",
}

# A venue of paper's live prices → another address for it.
PAPER_PRICE_HOSTS: dict[str, str] = {}

LOG_FORMAT = os.environ.get("TRADELATCH_LOG_FORMAT", "text")
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"TRADELATCH_LOG_FORMAT must be text or json, not {LOG_FORMAT!r}.")
if telemetry.is_wanted() and not telemetry.is_installed():
    raise ImproperlyConfigured(
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but what sends spans is not installed: pip install 'tradelatch[otel]'."
    )
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "class": "console.log_format.TextFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"class": "console.log_format.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"mcp": {"level": "WARNING"}, "httpx2": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
