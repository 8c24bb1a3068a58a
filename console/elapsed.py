"""Short spans of time, as people read them."""


def span_text(seconds: int) -> str:
    """``2 minutes``, ``1 minute``, ``90 seconds``, ``4 hours``."""
    count, unit = (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    if seconds % 3600 == 0:
        count, unit = seconds // 3600, "hour"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def seconds_text(milliseconds: int) -> str:
    """``0.02 s``, ``4.2 s``, ``75 s``; a time before the beginning is none."""
    seconds = max(0, milliseconds) / 1000
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
