"""Proofs by violence: faults at the broker, kills of the desk, and many steps at random. ``make chaos``."""
