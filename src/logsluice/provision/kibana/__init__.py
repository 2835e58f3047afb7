"""Kibana's views as code: the saved objects of an environment, and their import."""

from logsluice.provision.kibana.client import import_objects
from logsluice.provision.kibana.views import saved_objects

__all__ = ["import_objects", "saved_objects"]
