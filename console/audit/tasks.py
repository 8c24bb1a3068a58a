from celery import shared_task

from console.audit import sign_ins


@shared_task
def count_failed_sign_ins() -> None:
    sign_ins.count_failed()
