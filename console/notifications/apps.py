from importlib import import_module

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "console.notifications"
    label = "notifications"

    def ready(self) -> None:
        # Only now may models be loaded: it hears of each sign-in from the first on.
        import_module("console.notifications.sign_ins")
