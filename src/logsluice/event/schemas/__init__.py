"""The JSON Schemas that the API checks by."""
