from celery import shared_task

from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.security import emails

WRITERS: dict[OutgoingMail.Kind, mailer.EmailWriter] = {OutgoingMail.Kind.RECOVERY: emails.recovery_email}


@shared_task
def send_due() -> None:
    mailer.send_due(WRITERS)


@shared_task
def forget() -> None:
    mailer.delete_old()
