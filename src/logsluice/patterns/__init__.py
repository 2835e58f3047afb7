"""What to look for in a message: a registry of regular expressions, each with the field its groups fill."""

from logsluice.patterns.model import Fact, Pattern, PatternExample
from logsluice.patterns.registry import PatternRegistry, load_patterns

__all__ = ["Fact", "Pattern", "PatternExample", "PatternRegistry", "load_patterns"]
