"""What of the machine changes the arithmetic, and how a step makes the planned settings hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.runtime import environment
from components.runtime.environment import NO_RESULT, VARIABLES, hold, settings
from components.runtime.schema import BadInput
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting but the defaults; the folder of Keras."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", "0", "0"),
        ("TF_ENABLE_ONEDNN_OPTS", "False", "0"),
        ("TF_ENABLE_ONEDNN_OPTS", "true", "1"),
        ("TF_ENABLE_ONEDNN_OPTS", "", None),
        ("NVIDIA_TF32_OVERRIDE", "0", "0"),
        ("NVIDIA_TF32_OVERRIDE", "1", None),
        ("TF_DETERMINISTIC_OPS", "1", "1"),
        ("TF_DETERMINISTIC_OPS", "0", None),
        (
            "XLA_FLAGS",
            " --xla_cpu_enable_fast_math=true   --b ",
            "--xla_cpu_enable_fast_math=true --b",
        ),
        ("TF_XLA_FLAGS", "--tf_xla_auto_jit=2", "--tf_xla_auto_jit=2"),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", "BF16"),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "STRICT", None),
        ("KERAS_BACKEND", "tensorflow", None),
        ("KERAS_BACKEND", "jax", "jax"),
        ("KERAS_MAX_EPOCHS", "2", "2"),
        ("TF_CPP_MIN_LOG_LEVEL", "0", None),
        ("TF_NUM_INTEROP_THREADS", "3", None),
    ],
)
def test_a_variable_counts_where_it_changes_figures(
    name: str, value: str, counts: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings() == {}
    monkeypatch.setenv(name, value)
    assert settings() == ({name: counts} if counts else {})


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        ({"floatx": "float16"}, {"keras.json floatx": "float16"}),
        ({"epsilon": 1e-3}, {"keras.json epsilon": "0.001"}),
        (
            {"image_data_format": "channels_first"},
            {"keras.json image_data_format": "channels_first"},
        ),
        ({"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"}, {}),
        ({"backend": "jax"}, {}),  # the variable that we set goes first
        ({}, {}),
        ([], {}),
    ],
)
def test_keras_json_counts_where_it_is_not_the_default(
    content: object, counts: dict[str, str], plain: Path
) -> None:
    (plain / "keras.json").write_text(json.dumps(content))
    assert settings() == counts


def test_keras_json_is_read_where_keras_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without KERAS_HOME: in ~/.keras if it is there, else beside ClearML's files."""
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for folder in (".clearml/cache/keras", ".keras"):
        (tmp_path / folder).mkdir(parents=True)
        assert settings() == {}
        (tmp_path / folder / "keras.json").write_text('{"floatx": "float64"}')
        assert settings() == {"keras.json floatx": "float64"}


def test_the_planned_variables_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--here")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    hold({"TF_ENABLE_ONEDNN_OPTS": "0"}, "train")
    assert settings() == {"TF_ENABLE_ONEDNN_OPTS": "0"}
    assert "XLA_FLAGS" not in os.environ
    hold({}, "train")
    assert settings() == {}


def test_a_keras_json_that_differs_is_refused_in_one_line(plain: Path) -> None:
    (plain / "keras.json").write_text('{"floatx": "float16"}')
    words = (
        f"train: keras.json floatx in {plain} is float16 here, but the run was planned with unset; "
        "make them equal and run again"
    )
    with pytest.raises(BadInput, match=f"^{re.escape(words)}$"):
        hold({}, "train")
    hold({"keras.json floatx": "float16"}, "train")


def test_what_comes_too_late_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", environment)
    hold({}, "train")
    with pytest.raises(BadInput, match="TF_ENABLE_ONEDNN_OPTS is unset here"):
        hold({"TF_ENABLE_ONEDNN_OPTS": "0"}, "train")


def test_what_keras_then_computes_with_is_what_counts(plain: Path) -> None:
    """In a process of its own, as a step is."""
    (plain / "keras.json").write_text('{"floatx": "float64", "epsilon": 0.001}')
    script = (
        "from components.imaging.framework import keras; "
        "from components.runtime.environment import settings; "
        "print(keras.config.floatx(), keras.config.epsilon(), settings())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept = {"keras.json floatx": "float64", "keras.json epsilon": "0.001"}
    assert done.stdout == f"float64 0.001 {kept}\n"


def test_no_variable_both_counts_and_decides_nothing() -> None:
    assert not set(VARIABLES) & set(NO_RESULT)
