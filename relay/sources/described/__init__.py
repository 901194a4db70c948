"""Senders whose documents can be written down as data: a table tells their proof and where their events hold what."""
