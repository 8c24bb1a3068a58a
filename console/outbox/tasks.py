from celery import shared_task

from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.security import recovery_email

WRITERS: dict[OutgoingMail.Kind, mailer.EmailWriter] = {OutgoingMail.Kind.RECOVERY: recovery_email.recovery_email}


@shared_task
def send_due() -> None:
    mailer.send_due(WRITERS)


@shared_task
def forget() -> None:
    mailer.delete_old()
