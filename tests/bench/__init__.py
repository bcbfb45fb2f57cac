"""`python -m tests.bench`: what a registration costs us, and what it costs Kamailio on the same machine.

sides       one server with a Redis of its own and phones: ours, or Kamailio
phones      phones written to our database in bulk
measure     one measurement of a side
report      the table, the aims, the file in bench-results/
"""
