"""``make demo``: an instance to look at, with orders in every status and a month behind it.

Everything on it was made by the services that make it on any instance: the gate's tools, approvals, halts, the sweep.
What takes a month was done under a clock that was moved; what takes a broker's mood was done at a broker on loopback,
which is in this process and lives as long as the demo.
"""
