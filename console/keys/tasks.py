from celery import shared_task

from console.keys import ending_keys


@shared_task
def tell_of_ends() -> None:
    ending_keys.tell_of_ends()
