from celery import shared_task

from console.outbox import post
from console.outbox.models import OutgoingMail
from console.security import letters

WRITERS: dict[OutgoingMail.Kind, post.Writer] = {OutgoingMail.Kind.RECOVERY: letters.recovery}


@shared_task
def send_due() -> None:
    post.send_due(WRITERS)


@shared_task
def forget() -> None:
    post.forget()
