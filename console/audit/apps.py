import importlib

from django.apps import AppConfig
from django.db import connection
from django.db.models.signals import post_migrate

from console.audit import months
from console.audit.seals import triggers


class AuditConfig(AppConfig):
    name = "console.audit"
    label = "audit"

    def ready(self) -> None:
        importlib.import_module("console.audit.sign_ins")  # what listens to sign-outs
        post_migrate.connect(_guard, sender=self)


def _guard(**sent: object) -> None:
    if "audit_seal" in connection.introspection.table_names():  # not where an older version is gone back to
        triggers.install()
        months.make_ahead()
