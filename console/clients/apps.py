from django.apps import AppConfig


class ClientsConfig(AppConfig):
    name = "console.clients"
    label = "clients"
