"""What ClearML's pages show."""

from __future__ import annotations

from pathlib import Path

from components.reporting import ROWS_AT_MOST, read_table


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "classes.csv"
    path.parent.mkdir()
    rows = [f"class {number},0.5" for number in range(ROWS_AT_MOST + 7)]
    path.write_text("\n".join(["class,value", *rows]))
    table = read_table(path)
    assert table[:2] == [["class", "value"], ["class 0", "0.5"]]
    assert table[-2] == [f"class {ROWS_AT_MOST - 1}", "0.5"]
    assert table[-1] == ["and 7 more, in tables/classes.csv of the artifact details", ""]
    path.write_text("\n".join(["class,value", *rows[:ROWS_AT_MOST]]))
    assert len(read_table(path)) == 1 + ROWS_AT_MOST
