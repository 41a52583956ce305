"""What agents install is what was tested."""

from __future__ import annotations

from pipelines.engine.requirements import files


def test_the_requirements_of_each_step_are_up_to_date() -> None:
    for path, content in files().items():
        assert path.read_text() == content, f"{path} is out of date: run `make lock`"


def test_only_the_steps_that_train_or_predict_need_tensorflow() -> None:
    with_tensorflow = {
        path.parent.name for path, content in files().items() if "tensorflow==" in content
    }
    assert with_tensorflow == {"features", "train", "evaluate"}
