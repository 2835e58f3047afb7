"""Posting events: one, many, plain lines."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["ingest"])
