from django.apps import AppConfig


class ChartsConfig(AppConfig):
    name = "console.charts"
    label = "charts"
