from django.apps import AppConfig


class ConnectedAppsConfig(AppConfig):
    name = "console.connected_apps"
    label = "connected_apps"
