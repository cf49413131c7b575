"""A repository with a registered version."""

from tests.support.registered_repository import copied, registered

__all__ = ["copied", "registered"]
