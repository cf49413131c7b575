"""Reads the data that a page's scripts carry: JSON, and the object literals of JavaScript that are not JSON.

`{name: 'Pot', price: 24.50, stock: !0,}` is no JSON, yet it is how shops write what they hand to their own
scripts and to those who count their visitors. Literals are read, expressions are not evaluated: a call, a sum
or an unknown variable is None. Numbers stay exact: 19.90 is Decimal("19.90"). Time and memory are linear in
the length of the script.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

DEPTH_MAX = 60  # nested objects and lists that are read
CONSTANTS = {"true": True, "false": False, "!0": True, "!1": False}
TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/"""
    r"""|(?P<text>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|`(?:[^`\\]|\\.)*+`)"""
    r"""|(?P<number>-?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?(?![\w$]))"""
    r"""|(?P<word>![01]|[\w$][\w$.]*+)"""
    r"""|(?P<sign>[^"'`])""",
    re.DOTALL,
)
ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
STARTS = re.compile(
    r"(?<![=!<>])=\s*(?P<call>\(\s*function\s*\((?P<names>[\w$,\s]*)\)\s*\{\s*return\s*)?(?=[{\[])"
    r"|(?:\bpush|\bJSON\.parse|\btrack|\bset)\s*\(\s*(?=[{\[\"'`])"
    r"|['\"]\s*,\s*(?=\{)"
)
"""Where data begins: an assignment, Nuxt's function that returns it, an argument of a call."""
STARTS_MAX = 300  # of a script
PAIRED = {"{": "}", "[": "]", "(": ")"}


def literals(script: str) -> Iterator[Any]:
    """The objects and lists that a script assigns or hands to a function, in their order."""
    position, stripped = 0, script.strip()
    if stripped[:1] in ("{", "["):
        value, _ = _decode(stripped, 0, {})
        if value is not None:
            yield value
            return
    for _ in range(STARTS_MAX):
        if not (start := STARTS.search(script, position)):
            return
        bindings: Mapping[str, Any] = {}
        if start["call"]:
            bindings = _arguments(script, start.end(), start["names"])
        value, position = _decode(script, start.end(), bindings)
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):  # JSON.parse("…")
            value, _ = _decode(value.lstrip(), 0, {})
        if isinstance(value, dict | list):
            yield value


def _decode(script: str, start: int, bindings: Mapping[str, Any]) -> tuple[Any, int]:
    """The value at a position, None where there is none, and where to go on from."""
    decoder = json.JSONDecoder(strict=False, parse_float=Decimal, parse_constant=lambda _: None)
    if script[start : start + 1] in ("{", "[") and not bindings:
        try:
            return decoder.raw_decode(script, start)
        except (ValueError, RecursionError):
            pass
    reader = _Reader(script, start, bindings)
    try:
        return reader.value(0), reader.end
    except ValueError:
        return None, max(reader.end, start + 1)


def _arguments(script: str, body: int, names: str) -> dict[str, Any]:
    """The arguments of a function that is called where it is written, by the names of its parameters."""
    reader = _Reader(script, body, {})
    try:
        reader.value(0)
        while reader.kind and reader.text != "(":
            reader.advance()
        values = reader.items(")", 0) if reader.kind else []
    except ValueError:
        return {}
    return dict(zip((name.strip() for name in names.split(",")), values, strict=False))


class _Reader:
    """Reads one value, token by token, from a position of a script."""

    def __init__(self, script: str, start: int, bindings: Mapping[str, Any]) -> None:
        self.script, self.bindings = script, bindings
        self.end = self.next = start
        self.kind: str | None = None
        self.text = ""
        self.advance()

    def advance(self) -> None:
        """Go to the next token; `kind` is None behind the last one. Raises ValueError at an open text."""
        self.kind, self.end = None, self.next
        while self.next < len(self.script) and self.kind is None:
            match = TOKEN.match(self.script, self.next)
            if match is None:
                raise ValueError("a text that does not end")
            self.kind, self.text, self.next = match.lastgroup, match.group(), match.end()

    def value(self, depth: int) -> Any:
        """The value that begins here. Raises ValueError where there is none, or it does not end."""
        if depth > DEPTH_MAX or self.kind is None:
            raise ValueError("too deep, or cut off")
        kind, written = self.kind, self.text
        value: Any = None
        if written == "{":
            value = self._members(depth)
        elif written == "[":
            value = self.items("]", depth)
        else:
            if kind == "text":
                value = _unescaped(written[1:-1])
            elif kind == "number":
                value = int(written) if re.fullmatch(r"-?\d{1,18}", written) else Decimal(written)
            elif kind == "word":
                value = CONSTANTS.get(written, self.bindings.get(written))
            elif written in "}]),:;":
                raise ValueError("no value")
            self._pass()
        return value if self._is_complete(depth) else None

    def _is_complete(self, depth: int) -> bool:
        """Whether the value ends here; else it was the first part of an expression, which is passed over."""
        if depth == 0 or self.text in (",", "}", "]", ")") or self.kind is None:
            return True
        while self.kind is not None and self.text not in (",", "}", "]", ")"):
            self._pass()
        return False

    def _pass(self) -> None:
        """Pass over a token, or over all that its bracket holds."""
        closing = [PAIRED[self.text]] if self.kind == "sign" and self.text in PAIRED else []
        self.advance()
        while closing and self.kind is not None:
            if self.kind == "sign" and self.text in PAIRED:
                closing.append(PAIRED[self.text])
            elif self.kind == "sign" and self.text == closing[-1]:
                closing.pop()
            self.advance()

    def items(self, closing: str, depth: int) -> list[Any]:
        """The values up to a closing bracket; this token is the opening one."""
        values = []
        self.advance()
        while self.text != closing or self.kind != "sign":
            values.append(self.value(depth + 1))
            if self.text == ",":
                self.advance()
        self._close()
        return values

    def _members(self, depth: int) -> dict[str, Any]:
        members = {}
        self.advance()
        while self.text != "}" or self.kind != "sign":
            key = _unescaped(self.text[1:-1]) if self.kind == "text" else self.text
            if self.kind not in ("text", "word", "number"):
                raise ValueError("no key")
            self.advance()
            if self.text == ":":
                self.advance()
                members[key] = self.value(depth + 1)
            elif self.text in (",", "}"):  # {name}
                members[key] = self.bindings.get(key)
            else:
                raise ValueError("a method")
            if self.text == ",":
                self.advance()
        self._close()
        return members

    def _close(self) -> None:
        """Pass a closing bracket, behind which a script may go on with anything."""
        self.end = self.next
        try:
            self.advance()
        except ValueError:
            self.kind, self.text = None, ""


def _unescaped(text: str) -> str:
    return ESCAPE.sub(_letter, text) if "\\" in text else text


def _letter(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    if digits is None:
        return CONTROL.get(escape[4], escape[4])
    return chr(int(digits, 16)) if int(digits, 16) <= 0x10FFFF else ""


def devalued(value: Any) -> Any:
    """What a list in Nuxt 3's notation (`devalue`) stands for: every number within is the index of a value.

    Other values are returned as they are. https://github.com/Rich-Harris/devalue
    """
    if not isinstance(value, list) or not value or not isinstance(value[0], list | dict):
        return value
    budget = [len(value) * 4]  # a value that many refer to is copied each time

    def resolve(index: Any, depth: int) -> Any:
        budget[0] -= 1
        valid = isinstance(index, int) and 0 <= index < len(value) and not isinstance(index, bool)
        if not valid or depth > DEPTH_MAX or budget[0] < 0:
            return None
        match value[index]:
            case [str(), inner, *_] if isinstance(inner, int):  # ["Reactive", 1]
                return resolve(inner, depth + 1)
            case list() as items:
                return [resolve(item, depth + 1) for item in items]
            case dict() as members:
                return {key: resolve(item, depth + 1) for key, item in members.items()}
            case plain:
                return plain

    return resolve(0, 0)
