"""Vocabulary: the names by which the world calls each field, for everything that has keys."""

from logsluice.vocabulary.model import Entry, Vocabulary
from logsluice.vocabulary.registry import load_vocabulary

__all__ = ["Entry", "Vocabulary", "load_vocabulary"]
