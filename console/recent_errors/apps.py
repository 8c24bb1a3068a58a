from django.apps import AppConfig


class RecentErrorsConfig(AppConfig):
    name = "console.recent_errors"
    label = "recent_errors"
