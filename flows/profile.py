"""Write a profile into params.yaml: values for a known base, beside which every other value stays as it is.

    python -m flows.profile smollm2

DVC and git see the values where they see all others; `git checkout params.yaml artifacts/base` goes back.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.params.section import PARAMS

PROFILES = Path("profiles")


def apply(profile: Path, params: Path) -> list[str]:
    """Write the values of `profile` into `params`, comments and order kept; returns a line for each that
    changed.

    Raises PricewrightError, with `params` as it was, where there is no such profile, where it names a key
    that `params` has not, or where a value may not stand there.
    """
    if not profile.is_file():
        names = ", ".join(sorted(path.stem for path in profile.parent.glob("*.yaml"))) or "none"
        raise PricewrightError(f"there is no profile {profile.stem!r}; there are: {names}")
    yaml = _yaml()
    values = yaml.load(params.read_text(encoding="utf-8"))
    changed = list(_merge(values, yaml.load(profile.read_text(encoding="utf-8")), profile, ""))
    written = params.with_suffix(".profile.yaml")
    try:
        with written.open("w", encoding="utf-8") as file:
            yaml.dump(values, file)
        load_params(written)
        if changed:
            os.replace(written, params)
    finally:
        written.unlink(missing_ok=True)
    return changed


def _merge(values: Any, overlay: Any, profile: Path, above: str) -> Any:
    """Put the leaves of `overlay` into `values`; yields what changed."""
    for key, value in overlay.items():
        name = f"{above}{key}"
        if key not in values:
            raise PricewrightError(f"{profile}: params.yaml has no {name}")
        if isinstance(value, dict) and isinstance(values[key], dict):
            yield from _merge(values[key], value, profile, f"{name}.")
        elif values[key] != value:
            yield f"{name}: {values[key]} -> {value}"
            values[key] = value


def _yaml() -> YAML:
    """One that keeps comments, quotes, long lines and `null` as they are written."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def main() -> None:
    """Apply the profile that is named, and say what it changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="a file of profiles/, without its ending")
    try:
        changed = apply(PROFILES / f"{parser.parse_args().name}.yaml", PARAMS)
    except PricewrightError as error:
        sys.exit(f"profile: error: {error}")
    for line in changed:
        print(f"params.yaml: {line}")


if __name__ == "__main__":
    main()
