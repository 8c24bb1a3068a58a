from celery import shared_task

from console.audit import log as audit_log
from console.signals import history, preparing


@shared_task
def prepare_due() -> None:
    preparing.prepare_due()


@shared_task
def forget() -> None:
    audit_log.record_system_act("old signals deleted", "signals", history.delete_old())
