"""A project with two registered versions of a real tiny model, and a repository with one."""

from tests.support.labelled import labelled
from tests.support.registered_repository import copied, registered
from tests.support.registry import answers, bare, better, made, project, section

__all__ = ["answers", "bare", "better", "copied", "labelled", "made", "project", "registered", "section"]
