"""The check for weak keys: placeholders of our examples, and keys with few different characters."""

from typing import Final

LEAST_DIFFERENT: Final = 5
"""Minimum number of different characters; 32 random hexadecimal digits have fewer once in 10^13 keys."""
PLACEHOLDERS: Final = frozenset(
    {
        "at-least-32-characters-of-your-own-randomness",
        "another-32-characters-of-your-own-randomness",
        "the-key-of-before-while-it-is-replaced",
        "the-static-auth-secret-of-coturn",
    }
)
"""Public values that are, or were, in deploy/env.example."""


def weakness(secret: str) -> str:
    """Return why `secret` cannot be used as a key, or an empty text. An empty secret is not checked."""
    if secret.strip() in PLACEHOLDERS:
        return (
            "is the placeholder of deploy/env.example: put a secret of your own there (openssl rand -hex 32)"
        )
    if 0 < len(set(secret)) < LEAST_DIFFERENT:
        return f"needs at least {LEAST_DIFFERENT} different characters (openssl rand -hex 32 makes a key)"
    return ""
