import importlib

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "console.operations"
    label = "operations"

    def ready(self) -> None:
        importlib.import_module("console.operations.deploy_checks")  # what check --deploy asks
