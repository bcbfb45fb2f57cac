"""The last import of the process from which servers are forked (tests.peers.forked); nothing else imports it.

A server collects garbage once when it is ready. It would look at all that was imported, and copy most of it.
"""

import gc

from sqlalchemy.orm import configure_mappers

import config.app  # noqa: F401  # its tables are needed for the mappers

configure_mappers()
gc.collect()
gc.freeze()
