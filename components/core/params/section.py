"""What all sections of params.yaml have in common: strict, frozen, no default, one reader.

`load_section(Sft)` reads the section `sft`; a stage reads its own section and those of others that it needs.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.core.errors import PricewrightError

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]  # ISO 4217
PARAMS = Path("params.yaml")


class ParamsError(PricewrightError):
    """params.yaml is missing, is no YAML, or has a key or value that it may not have."""


class Section(BaseModel):
    """A part of params.yaml: unknown keys rejected, types strict, values frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


S = TypeVar("S", bound=Section)


def section_name(kind: type[Section]) -> str:
    """The key of a section in params.yaml: the name of its class in lower case."""
    return kind.__name__.lower()


def load_section(kind: type[S], path: Path = PARAMS) -> S:
    """Read and check one section of params.yaml.

    Raises ParamsError with one line per fault: the key's full name, what is wrong, and the nearest right key
    for an unknown one.
    """
    raw, name = read(path), section_name(kind)
    if name not in raw:
        raise ParamsError(f"{path}:\n  {name}: missing; params.yaml is the only place where it can be set")
    try:
        return kind.model_validate(raw[name])
    except ValidationError as error:
        raise faults(error, kind, path, name) from error


def read(path: Path) -> dict[str, Any]:
    """All sections as YAML holds them. Raises ParamsError for a file that is missing or no mapping."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run from the project's root") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}:\n  the file: holds no sections, found {raw!r}")
    return raw


def faults(error: ValidationError, kind: type, path: Path, *above: str) -> ParamsError:
    """What was wrong with a value of `kind` that stands under the keys `above`, a line for each fault."""
    lines = [f"  {_explain(dict(fault), kind, above)}" for fault in error.errors()]
    return ParamsError(f"{path}:\n" + "\n".join(lines))


def _explain(fault: dict[str, Any], kind: type, above: tuple[str, ...]) -> str:
    where = ".".join(map(str, (*above, *fault["loc"]))) or "the file"
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = _keys(kind, fault["loc"][:-1])
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            return f"{where}: unknown key; {hint}"
        case "missing" | "missing_argument":
            return f"{where}: missing; params.yaml is the only place where it can be set"
        case "float_type" if _is_number(fault["input"]):
            return f"{where}: {fault['input']!r} is text, not a number: YAML wants 2.0e-4, not 2e-4"
        case _:
            return f"{where}: {fault['msg'].removeprefix('Value error, ')}, found {fault['input']!r}"


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False


def _keys(kind: type, location: tuple[Any, ...]) -> list[str]:
    """Names that the section at `location` inside `kind` may have."""
    for part in location:
        kind = get_type_hints(kind)[part]
    return [name for name in get_type_hints(kind) if name != "model_config"]
