from django.apps import AppConfig


class PlatformsConfig(AppConfig):
    name = "console.platforms"
    label = "platforms"
