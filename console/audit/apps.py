import importlib

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "console.audit"
    label = "audit"

    def ready(self) -> None:
        importlib.import_module("console.audit.sign_ins")  # what listens to sign-outs
