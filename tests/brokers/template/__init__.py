"""Where a new adapter begins: copy ``adapter.py`` to ``brokers/<name>/`` and ``fake.py`` to ``tests/brokers/<name>/``.

As it stands it reads an imaginary broker, and passes the contract's first half (``test_reads``) by itself.
"""
