"""Each code has one button, and each button leads to a page of its person."""

import pytest
from django.test import Client as Browser

from console.connected_apps.models import ConnectedApp
from console.errors import EXPLANATIONS, Blame, Code
from console.orders.models import Order
from console.recent_errors.models import ErrorGroup
from console.recent_errors.next_steps import STEPS, Reach, StepKind, next_step
from tests.console.pages import log, text_of
from tests.console.steps import order

__all__ = ["order"]


def test_every_code_has_a_step_and_an_explanation() -> None:
    assert set(STEPS) == set(Code) == set(EXPLANATIONS)


def test_what_a_limit_or_a_person_refused_is_nobodys_fault() -> None:
    meant = {code for code in Code if EXPLANATIONS[code].blame is Blame.NOBODY}
    assert {Code.LIMIT_EXCEEDED, Code.HALTED, Code.INSUFFICIENT_SCOPE, Code.REJECTED_BY_OWNER} <= meant
    assert not {Code.BROKER_REJECTED, Code.INTERNAL_ERROR, Code.IP_NOT_ALLOWED, Code.UNAUTHENTICATED} & meant


@pytest.mark.parametrize("code", {way: code for code, way in STEPS.items()}.values())
def test_every_button_leads_somewhere(code: Code, browser: Browser, app: ConnectedApp, order: Order) -> None:
    call = log(app, tool="place_order", outcome="refused", code=code.value, message="No.")
    type(call).objects.update(order_id=order.public_id)
    browser.get("/errors/")
    group = ErrorGroup.objects.get()
    page = text_of(browser.get(f"/errors/{group.pk}/"))
    step = next_step(
        code.value, Reach(is_own=True, connection_id=app.connection_id, app_id=app.pk, order_id=order.public_id)
    )
    assert step is not None
    assert step.label in page
    if step.posts:
        assert f'<form method="post" action="{step.url}">' in page
        assert browser.post(step.url).status_code == 302
    else:
        assert f'href="{step.url}">{step.label}</a>' in page
        assert browser.get(step.url, follow=True).status_code == 200


@pytest.mark.parametrize("code", list(Code))
def test_where_what_it_would_open_is_gone_the_guide_is_the_step(code: Code) -> None:
    step = next_step(code.value, Reach(is_own=False))
    assert step is not None
    assert (step.label, step.url, step.posts) == (StepKind.GUIDE.value, f"/help/errors/{code.value}/", False)
    assert next_step(code.value, Reach(is_own=True)) is not None


def test_a_code_of_another_version_has_none() -> None:
    assert next_step("long_gone", Reach(is_own=True)) is None
