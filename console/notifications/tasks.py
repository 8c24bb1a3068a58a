from celery import shared_task

from console.notifications import news, sending, telegram_chats


@shared_task
def send_due() -> None:
    sending.send_due()


@shared_task
def link_chats() -> None:
    telegram_chats.link_chats()


@shared_task
def forget() -> None:
    news.delete_old()
