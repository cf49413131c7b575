"""A project with two registered versions of a real tiny model, and a repository with one."""

from tests.support.registered_repository import copied, registered
from tests.support.registry import answers, bare, made, project, section

__all__ = ["answers", "bare", "copied", "made", "project", "registered", "section"]
