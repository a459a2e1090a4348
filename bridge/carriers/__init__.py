"""Telephone companies: what each says and wants to hear, one file per company and per matter.

A carrier's module turns its messages into events and our wishes into its messages. It knows
nothing of sessions, engines or sockets; whoever holds the socket feeds it text.
"""
