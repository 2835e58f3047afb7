"""Learns from lines that no format takes: what a registry would have to hold to read them."""

from logsluice.learning.headers import learn_formats
from logsluice.learning.keys import learn_keys
from logsluice.learning.proposals import Proposal, Proposals, learn, write_proposals, yaml_text

__all__ = ["Proposal", "Proposals", "learn", "learn_formats", "learn_keys", "write_proposals", "yaml_text"]
