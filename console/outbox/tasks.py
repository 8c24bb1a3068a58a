from celery import shared_task

from console.audit import log as audit_log
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.security import recovery_email

WRITERS: dict[OutgoingMail.Kind, mailer.EmailWriter] = {OutgoingMail.Kind.RECOVERY: recovery_email.recovery_email}


@shared_task
def send_due() -> None:
    mailer.send_due(WRITERS)


@shared_task
def forget() -> None:
    audit_log.record_system_act("old letters deleted", "letters", mailer.delete_old())
