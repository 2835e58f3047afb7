"""The custom resource definitions of charts, as a server keeps them: what it would write differently is written so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BY_NAME = ("properties", "patternProperties", "definitions", "dependencies")
"""Keys of a schema below which keys are names and values are schemas."""
_SCHEMAS = ("items", "additionalProperties", "not", "allOf", "anyOf", "oneOf")
_OMITTED = (*_BY_NAME, "required", "enum", "allOf", "anyOf", "oneOf", "x-kubernetes-validations")
"""Keys of a schema that a server leaves out when they are empty: `omitempty` on a list or a map of JSONSchemaProps
(k8s.io/apiextensions-apiserver 0.36, pkg/apis/apiextensions/v1/types_jsonschema.go). Sent, they would be a change in
every preview."""
_OF_HELM = "helm.sh/resource-policy"


def definitions(rendered: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The custom resource definitions among what a chart renders to, without what only a server or Helm reads.

    Args:
        rendered: the provider's answer; empty in a preview that cannot know the cluster yet.
    """
    objects = (rendered or {}).get("result") or []
    return [_definition(item) for item in objects if item and item.get("kind") == "CustomResourceDefinition"]


def _definition(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in item["metadata"].items() if key != "creationTimestamp"}
    if annotations := {key: value for key, value in metadata.pop("annotations", {}).items() if key != _OF_HELM}:
        metadata["annotations"] = annotations
    spec = {**item["spec"]}
    if "versions" in spec:
        spec["versions"] = [_version(version) for version in spec["versions"]]
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata, "spec": spec}


def _version(version: Mapping[str, Any]) -> dict[str, Any]:
    schema = version.get("schema", {}).get("openAPIV3Schema")
    return {**version, "schema": {"openAPIV3Schema": _schema(schema)}} if schema else {**version}


def _schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_schema(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _below(key, value) for key, value in schema.items() if value or key not in _OMITTED}


def _below(key: str, value: Any) -> Any:
    if key in _BY_NAME:
        return {name: _schema(each) for name, each in value.items()}
    return _schema(value) if key in _SCHEMAS else value
