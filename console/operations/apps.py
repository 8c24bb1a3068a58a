import importlib

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "console.operations"
    label = "operations"

    def ready(self) -> None:
        importlib.import_module("console.operations.broker_checks")  # what listens to checks of connections
