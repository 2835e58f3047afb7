"""Authentication, authorization and rate limits."""

from logsluice.api.guard.access import Caller, Guard, requires
from logsluice.api.guard.keys import Scope

__all__ = ["Caller", "Guard", "Scope", "requires"]
