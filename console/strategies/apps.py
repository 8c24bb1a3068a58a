from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "console.strategies"
    label = "strategies"
