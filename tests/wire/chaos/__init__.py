"""Faults under load, and what phones and readers saw of them.

scene       two nodes, each in a network of its own, with their stores and phones
people      the phones in a database: who refreshes, who registers once, who calls
traffic     registrations, calls and API reads for the length of a row
crew        the phones of the traffic that do more than refresh
journal     what was asked and answered, and what the API showed beside what phones know
faults      one function for each fault: inject it, take it away, return how often it struck
rows        each fault with the verdict that is expected of it
verdict     the figures of a row, whether they are met, and the table of all
"""
