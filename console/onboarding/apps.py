from importlib import import_module

from django.apps import AppConfig


class OnboardingConfig(AppConfig):
    name = "console.onboarding"
    label = "onboarding"

    def ready(self) -> None:
        # Only now may models be loaded: whoever ends playgrounds has to hear of it from the first change on.
        import_module("console.onboarding.playground")
