"""What `registrar doctor` looks at: each check gives findings, and changes nothing."""

from .finding import Finding, Level, fail, ok, warn

__all__ = ["Finding", "Level", "fail", "ok", "warn"]
