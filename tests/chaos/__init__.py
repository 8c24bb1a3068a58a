"""Proofs by violence: faults at the broker, kills of the desk, and many steps at random. ``make chaos``."""

WRONG = {
    "sent_twice": "sent twice",
    "unknown_here": "at the broker and not here",
    "lost": "not here as at the broker",
    "phantoms": "here and not at the broker",
    "not_cancelled": "a cancel was forgotten",
    "stuck": "never settled",
    "books": "bought is not what is held",
    "halves": "a plan went in part and does not say so",
    "against_the_documents": "asked what the broker's documents do not allow",
    "surprises": "an error that is no refusal",
}
"""What the trials must leave empty, in words."""
