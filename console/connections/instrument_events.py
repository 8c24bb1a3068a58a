"""What a broker reports of a stock besides its prices: the next dividend, the earnings date, a trading halt."""

from dataclasses import dataclass

from brokers.base import Broker
from brokers.errors import BrokerError
from brokers.types import AssetClass, Instrument, InstrumentEvent, InstrumentEvents
from console.errors import refusal_of_read


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    events: InstrumentEvents
    not_reported: tuple[InstrumentEvent, ...] = ()
    """What this broker does not report; what is neither here nor in ``events`` is not announced."""
    unavailable: str = ""
    """Why none of it could be read now."""


def read(broker: Broker, instrument: Instrument) -> EventReport | None:
    """None for what has no such events. That they cannot be read now is part of the answer."""
    if instrument.asset_class not in (AssetClass.STOCK, AssetClass.ETF):
        return None
    reported = broker.capabilities.events
    try:
        found = broker.instrument_events(instrument.symbol) if reported else InstrumentEvents()
    except BrokerError as error:
        return EventReport(events=InstrumentEvents(), unavailable=str(refusal_of_read(error)))
    known = {
        InstrumentEvent.DIVIDEND: found.next_dividend,
        InstrumentEvent.EARNINGS: found.earnings_date,
        InstrumentEvent.HALT: found.is_halted,
    }
    return EventReport(
        events=found,
        not_reported=tuple(event for event in known if event not in reported and known[event] is None),
    )
