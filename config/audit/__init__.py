"""The audit log: what a transaction changes, the chain of its rows, and the job that makes the chain."""
