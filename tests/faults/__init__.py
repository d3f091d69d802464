"""Faults on purpose: kills, full disks, flipped bits, overrides and hostile files, and a table.

`make faults` runs all of it; a short form is among the tests.
"""
