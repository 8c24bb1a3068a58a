"""What a preview's buying power is counted in: one currency for all orders, or that of each."""

from tests.brokers.contract.cases import CRYPTO, Case, Rig


def test_the_buying_power_is_of_the_account_or_of_the_currency_that_is_paid(case: Case, rig: Rig) -> None:
    told = rig.broker.preview(rig.account_id, rig.order()).buying_power_currency
    if case in CRYPTO:
        instrument = rig.broker.instrument(rig.symbol)
        assert told == (instrument.settle or instrument.currency)
    else:
        assert told == rig.broker.account_state(rig.account_id).currency
