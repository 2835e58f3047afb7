"""Who asks, what they may do, and how often."""

from logsluice.api.guard.access import Caller, Guard, requires
from logsluice.api.guard.keys import Scope

__all__ = ["Caller", "Guard", "Scope", "requires"]
