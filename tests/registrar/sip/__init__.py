"""The language: every module of `registrar/sip` by its own test file."""
