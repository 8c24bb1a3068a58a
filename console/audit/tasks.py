import logging

from celery import shared_task

from console.audit import months, sign_ins
from console.audit.seals import retention, sealing, verifying

log = logging.getLogger(__name__)


@shared_task
def count_failed_sign_ins() -> None:
    sign_ins.count_failed()


@shared_task
def seal_record() -> None:
    if sealing.seal_due() and not verifying.was_checked():
        _check(whole_chain=True)  # so that the pages can say something from the first minutes on


@shared_task
def drop_old_rows() -> None:
    months.make_ahead()
    retention.drop_old()


@shared_task
def check_record() -> None:
    _check(whole_chain=False)


@shared_task
def check_whole_record() -> None:
    _check(whole_chain=True)


def _check(*, whole_chain: bool) -> None:
    found = verifying.check_and_keep(whole_chain=whole_chain)
    if not found.is_whole:
        log.error("The record is broken. %s", found.problem["words"])
