"""The command ``tradelatch``: a bridge for hosts that start local servers, and calls for pipes.

It is a client of a running instance and nothing else: no Django, no database, so that it starts at once.
"""
