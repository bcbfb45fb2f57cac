"""The checks of `registrar doctor`: each check returns findings, and changes nothing."""

from .finding import Finding, Level, fail, ok, warn

__all__ = ["Finding", "Level", "fail", "ok", "warn"]
