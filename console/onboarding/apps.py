from django.apps import AppConfig


class OnboardingConfig(AppConfig):
    name = "console.onboarding"
    label = "onboarding"

    def ready(self) -> None:
        from console.connected_apps import grants
        from console.onboarding import playground

        grants.changed.connect(playground.end_of)
