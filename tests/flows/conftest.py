"""A project with two registered versions of a real tiny model."""

from tests.support.registry import answers, bare, made, project, section

__all__ = ["answers", "bare", "made", "project", "section"]
