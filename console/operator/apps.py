import importlib

from django.apps import AppConfig


class OperatorConfig(AppConfig):
    name = "console.operator"
    label = "operator"

    def ready(self) -> None:
        importlib.import_module("console.operator.broker_checks")  # what listens to checks of connections
