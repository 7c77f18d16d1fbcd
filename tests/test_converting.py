"""What docs/converting.md says of Jittor is so: its Python is run, in order, in one namespace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents import ROOT, blocks

pytestmark = pytest.mark.jittor


def test_what_the_page_shows_holds(capsys: pytest.CaptureFixture[str]) -> None:
    shown = blocks("python", [ROOT / "docs" / "converting.md"])
    assert sum("assert" in block.text for block in shown) >= 4
    names: dict[str, Any] = {}
    for block in shown:
        exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "1 missing (bias)" in said
    assert "weight is [2, 4], expected [2, 3]" in said
