"""Which listings may train a model, by what their source states of licence and reservation. For `curate`.

`Listing.rights` holds the statements of a source, one after another with semicolons between. What a listing
without any statement means is a choice that a user makes: nothing stated is neither a licence nor a refusal.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from components.core.params.curate import Rights


def refusal(stated: str, section: Rights) -> str:
    """Why a listing with these statements may not train, empty where it may.

    Each statement has to match a pattern of `trainable` and none of `refused`, whatever its case.
    """
    statements = [statement.strip() for statement in stated.split(";") if statement.strip()]
    if not statements:
        return "" if section.unstated else "the source states no rights"
    for statement in statements:
        if _matches(statement, section.refused):
            return f"the source reserves its use: {statement[:100]}"
        if not _matches(statement, section.trainable):
            return f"no pattern of curate.rights.trainable covers: {statement[:100]}"
    return ""


def _matches(statement: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(statement.casefold(), pattern.casefold()) for pattern in patterns)
