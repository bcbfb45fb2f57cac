"""Malformed, tortuous and hostile messages, and what becomes of each."""
