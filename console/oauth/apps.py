from django.apps import AppConfig


class OAuthConfig(AppConfig):
    name = "console.oauth"
    label = "oauth"
