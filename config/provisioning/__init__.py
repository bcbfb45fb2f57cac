"""Provisioning: the files that desk phones fetch, and the listener that serves them."""
