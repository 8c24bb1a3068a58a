from django.urls import path

from console.notifications import views

app_name = "notifications"
urlpatterns = [
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("push-worker.js", views.push_worker, name="push-worker"),
    path("notifications/", views.overview, name="overview"),
    path("notifications/channels/", views.channels_list, name="channels"),
    path("notifications/choices/", views.choose, name="choose"),
    path("notifications/devices/", views.add_device, name="add-device"),
    path("notifications/telegram/", views.link_chat, name="link-chat"),
    path("notifications/ntfy/", views.add_topic, name="add-topic"),
    path("notifications/webhook/", views.add_webhook, name="add-webhook"),
    path("notifications/email/test/", views.test_email, name="test-email"),
    path("notifications/channels/<int:pk>/", views.channel, name="channel"),
    path("notifications/channels/<int:pk>/messages/<int:message>/again/", views.send_again, name="send-again"),
    path("notifications/channels/<int:pk>/test/", views.test, name="test"),
    path("notifications/channels/<int:pk>/remove/", views.remove, name="remove"),
]
