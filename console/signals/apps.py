from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "console.signals"
    label = "signals"
