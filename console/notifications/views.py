import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import sessions
from console.accounts.request_user import user_of
from console.errors import Refusal
from console.notifications import channels, choices, delivery_log, push_keys, telegram_chats
from console.notifications.forms import ChoicesForm, TopicForm, WebhookForm, field_name
from console.notifications.models import ChannelKind, NewsItem, NewsKind, NotificationChannel
from console.notifications.senders import webhook
from console.outbox.models import OutgoingMail

_SHOWN = 20
_HOUR = 3600


@login_not_required
@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """So that the console can be installed like an app (W3C Web Application Manifest)."""
    icons = [
        {"src": static("console/icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        *(
            {"src": static(f"console/icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"}
            for size in (192, 512)
        ),
        {"src": static("console/icon-512.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
    ]
    home = reverse("home")
    told = {
        "id": home,
        "name": "Tradelatch",
        "short_name": "Tradelatch",
        "description": "Approve what your assistants ask for, and see what they did.",
        "start_url": home,
        "scope": home,
        "display": "standalone",
        "background_color": "#f6f7f3",
        "theme_color": "#1d4ed8",
        "icons": icons,
        "shortcuts": [{"name": "Approvals", "url": reverse("orders:approvals")}],
    }
    answer = JsonResponse(told, content_type="application/manifest+json")
    answer["Cache-Control"] = f"public, max-age={_HOUR}"
    return answer


@login_not_required
@require_safe
def push_worker(request: HttpRequest) -> HttpResponse:
    """At the root, whose pages it may open; its text has no answer to who asks."""
    icon = static("console/icon-192.png")
    body = render_to_string("notifications/push-worker.js", {"icon": json.dumps(icon)})
    return HttpResponse(body, content_type="text/javascript", headers={"Cache-Control": "no-cache"})


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    chosen, there_are = choices.of(user), choices.kinds_there_are()
    rows = [
        (
            kind,
            [
                (channel, field_name(kind, channel), channel in chosen[kind], _is_fixed(kind, channel))
                for channel in there_are
            ],
        )
        for kind in choices.CHOSEN
    ]
    context = {
        "rows": rows,
        "recent": NewsItem.objects.filter(user=user).exclude(kind=NewsKind.TEST)[:_SHOWN],
        "application_server_key": push_keys.application_server_key(),
        "has_telegram": settings.TELEGRAM is not None,
        "is_secure": settings.PUBLIC_URL.startswith("https:") or bool(settings.LOCAL_NAMES),
        **_channels(request),
    }
    return render(request, "notifications/overview.html", context)


@never_cache
@require_safe
def channels_list(request: HttpRequest) -> HttpResponse:
    """The part of the page that shows what came of a test, for the page to ask again."""
    return render(request, "notifications/channels.html", _channels(request))


def _channels(request: HttpRequest) -> dict[str, Any]:
    user = user_of(request)
    found = list(NotificationChannel.objects.filter(user=user))
    mails = OutgoingMail.objects.filter(user=user, channel=None)
    sent = mails.filter(sent_at__isnull=False).order_by("-sent_at").first()
    failures = mails.filter(failed_at__isnull=False).order_by("-failed_at")
    if sent is not None and sent.sent_at is not None:
        failures = failures.filter(failed_at__gt=sent.sent_at)
    return {
        "devices": [(each, channels.needs_renewal(each)) for each in found if each.kind == ChannelKind.PUSH],
        "others": [each for each in found if each.kind != ChannelKind.PUSH],
        "mail_failed": failures.first(),
        "mail_sent": sent,
    }


def _is_fixed(kind: NewsKind, channel: ChannelKind) -> bool:
    return channel is ChannelKind.EMAIL and kind in choices.ALWAYS_BY_EMAIL


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    choices.choose(user_of(request), ChoicesForm(request.POST).chosen())
    messages.success(request, "Saved.")
    return redirect("notifications:overview")


@require_POST
def add_device(request: HttpRequest) -> HttpResponse:
    """What the browser's own script sends: its subscription, as JSON."""
    try:
        subscription = json.loads(request.body)
    except (ValueError, RecursionError):
        return JsonResponse({"error": "The request is not JSON. Nothing was saved."}, status=400)
    name = sessions.browser_name(request.headers.get("User-Agent", "")[:300])
    try:
        channel = channels.add_browser(user_of(request), subscription, name=name)
    except Refusal as refusal:
        return JsonResponse({"error": str(refusal)}, status=400)
    return JsonResponse({"id": channel.pk}, status=201)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link_chat(request: HttpRequest) -> HttpResponse:
    bot = settings.TELEGRAM
    if bot is None:
        messages.error(request, "This instance has no Telegram bot. Its operator can set one up.")
        return redirect("notifications:overview")
    code = telegram_chats.new_code(user_of(request)) if request.method == "POST" else ""
    context = {"bot": bot.bot, "code": code, "minutes": int(telegram_chats.CODE_LIFETIME.total_seconds() // 60)}
    return render(request, "notifications/telegram.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add_topic(request: HttpRequest) -> HttpResponse:
    form = TopicForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            channels.add_topic(user_of(request), **form.cleaned_data)
        except Refusal as refusal:
            _show(form, refusal)
        else:
            messages.success(request, "Added. Send a test to see whether it arrives.")
            return redirect("notifications:overview")
    return render(request, "notifications/ntfy.html", {"form": form})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add_webhook(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        secret = webhook.new_secret()
        try:
            channel = channels.add_webhook(user_of(request), url=form.cleaned_data["url"], secret=secret)
        except Refusal as refusal:
            _show(form, refusal)
        else:
            return render(request, "notifications/webhook_made.html", {"channel": channel, "secret": secret})
    return render(request, "notifications/webhook.html", {"form": form})


@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    channel = get_object_or_404(NotificationChannel, pk=pk, user=user_of(request))
    channels.send_test(channel)
    messages.success(request, f"A test is on its way to {channel.name}. What came of it is shown below in a moment.")
    return redirect("notifications:overview")


@require_POST
def test_email(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    channels.send_test_email(user)
    messages.success(request, f"A test is on its way to {user.email}.")
    return redirect("notifications:overview")


@never_cache
@require_safe
def channel(request: HttpRequest, pk: int) -> HttpResponse:
    """What became of its messages."""
    found = get_object_or_404(NotificationChannel, pk=pk, user=user_of(request))
    context = {"channel": found, "deliveries": delivery_log.of(found), "renew": channels.needs_renewal(found)}
    return render(request, "notifications/deliveries.html", context)


@require_POST
def send_again(request: HttpRequest, pk: int, message: int) -> HttpResponse:
    found = get_object_or_404(NotificationChannel, pk=pk, user=user_of(request))
    if delivery_log.send_again(found, message):
        messages.success(request, "It is on its way again, with the id it had.")
    else:
        messages.error(request, "It cannot be sent again: it is still being sent, or no copy of it is kept.")
    return redirect("notifications:channel", pk)


@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    channel = get_object_or_404(NotificationChannel.objects.select_related("user"), pk=pk, user=user_of(request))
    channels.remove(channel)
    messages.success(request, f"{channel.name} gets nothing any more.")
    return redirect("notifications:overview")


def _show(form: Form, refusal: Refusal) -> None:
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
