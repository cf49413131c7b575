"""Provenance: from a registered version back to the code, data and pages that it was made from."""
