"""Where each setting of a recipe stands in its text."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable

MAX_DEPTH = 16
"""Tables in tables, and arrays in arrays, before a text is refused; a recipe needs four."""

Key = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t\r]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_PART = re.compile(r"""[A-Za-z0-9_\-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_LINE = re.compile(r"[^\n]*")
_PLAIN = re.compile(r"""[^\s,\]}#"'\[{][^,\]}#\n]*""")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\[\s\S])*?"{3,5}'),
    re.compile(r"'''[\s\S]*?'{3,5}"),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


class TooDeep(Exception):
    """A text nests deeper than ``MAX_DEPTH``."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class RecipeText:
    """The text of a recipe, to tell on which line a setting stands.

    Dotted keys, inline tables, arrays over several lines and arrays of tables are followed. What is
    not TOML is passed over: the parser that comes after says what is wrong.

    Args:
        name: what messages call the text.
        text: of the recipe.
        overridden: dotted keys whose values came from elsewhere.

    Raises:
        TooDeep: the text nests so deeply that a parser could not take it.
    """

    def __init__(self, name: str, text: str, overridden: Iterable[str] = ()) -> None:
        self.name = name
        self.overridden = {tuple(key.split(".")) for key in overridden}
        scanner = _Scanner(text)
        self.lines = scanner.implied | scanner.lines

    def line(self, key: Key) -> int:
        """Return the line of the key or, where it is not written, of its table; 0 for neither."""
        found = (self.lines.get(key[:length]) for length in range(len(key), 0, -1))
        return next((line for line in found if line), 0)

    def is_overridden(self, key: Key) -> bool:
        """Whether a value was not taken from the text."""
        words = tuple(part for part in key if isinstance(part, str))
        return any(words[: len(given)] == given for given in self.overridden)

    def place(self, key: Key) -> str:
        """Return ``file, line N``, the file where there is no such line, or ``in --set``."""
        if self.is_overridden(key):
            return "in --set"
        line = self.line(key)
        return f"{self.name}, line {line}" if line else self.name


class _Scanner:
    """Finds the line of every key; lenient, and in time that grows with the text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self.implied: dict[Key, int] = {}
        self._text, self._at = text, 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._tables: dict[Key, int] = {}
        self._statements()

    def _line(self) -> int:
        return bisect.bisect_left(self._ends, self._at) + 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _deep(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise TooDeep(self._line())

    def _note(self, key: Key) -> None:
        self.lines.setdefault(key, self._line())

    def _statements(self) -> None:
        table: Key = ()
        while True:
            self._skip(_BETWEEN)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_LINE)

    def _header(self) -> Key:
        line_start = self._at
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        self._skip(_BLANK)
        key = self._key(())
        self._at, after = line_start, self._at
        if many and key:
            index = self._tables.get(key, -1) + 1
            self._tables[key] = index
            key = (*key, index)
        self._note(key)
        for length in range(1, len(key)):
            self.implied.setdefault(key[:length], self._line())
        self._at = after
        return key

    def _key(self, table: Key) -> Key:
        key = list(table)
        while part := self._skip(_PART):
            key.append(_unquoted(part))
            self._deep(len(key))
            if not self._skip(_DOT):
                break
        return tuple(key)

    def _pair(self, table: Key) -> bool:
        """Note ``key = value``; return whether there was one."""
        start = self._at
        key = self._key(table)
        if len(key) == len(table):
            return False
        after, self._at = self._at, start
        for length in range(len(table) + 1, len(key) + 1):
            self._note(key[:length])
        self._at = after
        if self._skip(_EQUALS):
            self._value(key)
        return True

    def _value(self, key: Key) -> None:
        self._deep(len(key))
        for string in _STRINGS:
            if self._skip(string):
                return
        opening = self._text[self._at : self._at + 1]
        if opening not in ("[", "{"):
            self._skip(_PLAIN)
            return
        self._at += 1
        index = 0
        while True:
            self._skip(_BETWEEN)
            here = self._text[self._at : self._at + 1]
            if here in ("", "]", "}"):
                self._at += 1
                return
            before = self._at
            if opening == "[":
                self._note((*key, index))
                self._value((*key, index))
                index += 1
            else:
                self._pair(key)
            if self._at == before:
                # Not TOML: what stands here is passed over.
                self._at += 1


def _unquoted(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    if part.startswith('"'):
        try:
            return str(json.loads(part))
        except ValueError:
            return part[1:-1]
    return part
