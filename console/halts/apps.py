from django.apps import AppConfig


class HaltsConfig(AppConfig):
    name = "console.halts"
    label = "halts"
