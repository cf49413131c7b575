"""A project with two registered versions of a real tiny model."""

from tests.support.labelled import labelled
from tests.support.registry import answers, bare, better, made, project, section

__all__ = ["answers", "bare", "better", "labelled", "made", "project", "section"]
