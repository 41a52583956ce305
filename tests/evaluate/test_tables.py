"""The tables beside the report."""

import csv
import json

import pytest


@pytest.mark.parametrize("name", ["figures", "classes", "thresholds", "slices", "robustness"])
def test_tables_hold_what_the_metrics_hold(evaluation, name):
    metrics = json.loads((evaluation / "metrics.json").read_text())
    with (evaluation / "tables" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    if name == "figures":
        accuracy = next(row for row in rows if row["figure"] == "accuracy")
        assert float(accuracy["value"]) == metrics["accuracy"]
        assert float(accuracy["low"]) == metrics["intervals"]["accuracy"][0]
    elif name == "classes":
        recall = next(row for row in rows if (row["class"], row["figure"]) == ("dog", "recall"))
        assert float(recall["value"]) == metrics["per_class"]["dog"]["recall"]
        assert float(recall["high"]) == metrics["intervals"]["per_class.dog.recall"][1]
    elif name == "thresholds":
        recall = next(row for row in rows if (row["class"], row["figure"]) == ("dog", "recall"))
        assert float(recall["value"]) == metrics["thresholds"]["dog"]["recall"]
        assert float(recall["low"]) == metrics["intervals"]["thresholds.dog.recall"][0]
    else:
        assert len(rows) == len(metrics[name])
