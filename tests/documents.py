"""The pages of the documentation, the blocks on them, and the commands in these."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

__all__ = ["FENCE", "PAGES", "ROOT", "Block", "Command", "blocks", "commands"]

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
]
FENCE = re.compile(r"(<!-- runs -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"[A-Z_]+=\S*\Z")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class Command(NamedTuple):
    """One program with its arguments, as shown in a ``sh`` block.

    Attributes:
        where: page and line of the block.
        text: the line, for messages.
        words: the program and its arguments; settings of the environment in front are left out.
        output: the file that ``>`` names, or nothing.
    """

    where: str
    text: str
    words: tuple[str, ...]
    output: str = ""

    @property
    def program(self) -> str:
        """The program's name without its folder."""
        return self.words[0].rpartition("/")[2]


def blocks(language: str, pages: list[Path] | None = None) -> list[Block]:
    """The fenced blocks of a language."""
    found = []
    for path in pages or PAGES:
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text[: match.start(2)].count("\n") + 1
            found.append(Block(path, line, match[2], match[3], bool(match[1])))
    return [block for block in found if block.language == language]


def commands(pages: list[Path] | None = None) -> list[Command]:
    """The commands of all ``sh`` blocks, in their order; of pipes and lists each part."""
    found = []
    for block in blocks("sh", pages):
        for line in block.text.replace("\\\n", " ").splitlines():
            found += [_command(str(block), line.strip(), words) for words in _parts(line)]
    return found


def _parts(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word in ("|", "&&", "||", ";", "&"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _command(where: str, text: str, words: list[str]) -> Command:
    output = ""
    if ">" in words:
        at = words.index(">")
        words, output = words[:at], words[at + 1]
    while len(words) > 1 and _SETTING.match(words[0]):
        words = words[1:]
    return Command(where, text, tuple(words), output)
