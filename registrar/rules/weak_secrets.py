"""Which keys are no secrets: placeholders of our own examples, and keys of almost no different characters."""

from typing import Final

LEAST_DIFFERENT: Final = 5
"""Different characters of a key. 32 random hexadecimal digits have fewer once in 10^13 keys."""
PLACEHOLDERS: Final = frozenset(
    {
        "at-least-32-characters-of-your-own-randomness",
        "another-32-characters-of-your-own-randomness",
        "the-static-auth-secret-of-coturn",
    }
)
"""They stand, or stood, in deploy/env.example: everybody can read them there."""


def weakness(secret: str) -> str:
    """Return why `secret` cannot be used as a key, or an empty text. An empty secret is not judged."""
    if secret.strip() in PLACEHOLDERS:
        return (
            "is the placeholder of deploy/env.example: put a secret of your own there (openssl rand -hex 32)"
        )
    if 0 < len(set(secret)) < LEAST_DIFFERENT:
        return f"needs at least {LEAST_DIFFERENT} different characters (openssl rand -hex 32 makes a key)"
    return ""
