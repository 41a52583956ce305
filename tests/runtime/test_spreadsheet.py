"""Cells that a spreadsheet would run are text to it, and come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.runtime.spreadsheet import harmless, original


@pytest.mark.parametrize(
    "cell",
    ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "'=1"],
)
def test_a_formula_becomes_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "cat/1.jpg", "-0.5", "+3", "1e-3", "it's", "'", 5, -1.5, None]
)
def test_anything_else_stays(cell: object) -> None:
    assert harmless(cell) == cell


@given(st.text(alphabet="'=+-@ \t\n1.e\u00e9") | st.text())
def test_each_cell_has_its_original(cell: str) -> None:
    assert original(harmless(cell)) == cell
