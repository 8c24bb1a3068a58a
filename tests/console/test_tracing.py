"""Which trace a caller says that its request belongs to (W3C Trace Context)."""

import pytest

from console import tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read_and_written_back_as_it_came() -> None:
    found = tracing.parse(GOOD)
    assert found is not None and (found.trace_id, found.span_id, found.flags) == (TRACE, SPAN, "01")
    assert str(found) == GOOD


def test_a_later_version_may_say_more_and_version_zero_may_not() -> None:
    assert tracing.parse(f"01-{TRACE}-{SPAN}-01-more") is not None
    assert tracing.parse(f"{GOOD}-more") is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "00", None, 7, {}, GOOD.upper(), GOOD[:-1], f"{GOOD}\n", f"ff-{TRACE}-{SPAN}-01"),
        *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0x"),
    ],
)
def test_what_is_no_traceparent_is_left_out(text: object) -> None:
    assert tracing.parse(text) is None


def test_what_the_message_says_goes_before_the_header_of_whoever_passed_it_on() -> None:
    other = f"00-{'a' * 32}-{SPAN}-00"
    with tracing.request("req_1", tracing.parse(other)):
        for nothing in (None, {}, {"traceparent": "nothing"}, {"traceparent": 7}):
            tracing.follow(nothing)
            assert tracing.current_trace_id() == "a" * 32
        tracing.follow({"traceparent": GOOD})
        assert tracing.current_trace_id() == TRACE
    assert tracing.current_trace_id() == ""


def test_the_trace_of_a_request_ends_with_it() -> None:
    with tracing.request("req_1", tracing.parse(GOOD)):
        assert (tracing.current_request_id(), tracing.current_trace_id()) == ("req_1", TRACE)
        with tracing.request("req_2"):
            assert (tracing.current_request_id(), tracing.current_trace_id()) == ("req_2", "")
    assert (tracing.current_request_id(), tracing.current_trace_id()) == ("", "")
