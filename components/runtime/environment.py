"""What of the machine decides a result: versions of packages, settings that change arithmetic."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from components.runtime import FORMAT
from components.runtime.schema import BadInput

MISSING = "missing"  # the version of what is not installed
FORMAT_NAME = "components.runtime FORMAT"  # counts as the version of a package

# Environment variable -> what it is where it is not set. Speed, memory and logs do not count.
VARIABLES = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_MAX_EPOCHS": "",
    "KERAS_MAX_STEPS_PER_EPOCH": "",
    "NVIDIA_TF32_OVERRIDE": "",
    "ONEDNN_DEFAULT_FPMATH_MODE": "strict",
    "ONEDNN_MAX_CPU_ISA": "default",
    "DNNL_DEFAULT_FPMATH_MODE": "strict",
    "DNNL_MAX_CPU_ISA": "default",
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_LEVEL": "",
    "TF_CONV2D_USE_FP16_ACCUMULATE": "0",
    "TF_CUDNN_DETERMINISTIC": "0",
    "TF_CUDNN_USE_AUTOTUNE": "1",
    "TF_CUDNN_USE_RUNTIME_FUSION": "0",
    "TF_DETERMINISTIC_OPS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "",  # without it, it depends on the processor
    "TF_ENABLE_ONEDNN_SPMM": "0",
    "TF_ENABLE_WINOGRAD_NONFUSED": "1",
    "TF_ENABLE_ZENDNN_OPTS": "0",
    "TF_FP16_CONV_USE_FP32_COMPUTE": "1",
    "TF_FP16_MATMUL_USE_FP32_COMPUTE": "1",
    "TF_FP16_RNN_USE_FP32_COMPUTE": "1",
    "TF_SET_ONEDNN_FPMATH_MODE": "",
    "TF_USE_CUBLASLT": "",
    "TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT": "0",
    "TF_USE_DEEP_CONV2D": "0",
    "TF_USE_DEFAULT_CONV_ALGO": "0",
    "TF_XLA_FLAGS": "",
    "XLA_FLAGS": "",
}
NO_RESULT = ("TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "KERAS_HOME")  # set by imaging
_AS_FLAG = {"false": "0", "true": "1"}
_FILE = "keras.json "  # before the name of one of its settings
_SETTINGS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}


def version(distribution: str) -> str:
    """The installed version of a package, or `MISSING`."""
    if distribution == FORMAT_NAME:
        return str(FORMAT)
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return MISSING


def keras_home() -> str:
    """Where Keras finds its settings and keeps downloaded weights; never a new ~/.keras."""
    home = Path.home() / ".keras"
    other = home if home.is_dir() else Path.home() / ".clearml" / "cache" / "keras"
    return os.environ.get("KERAS_HOME", str(other))


def settings() -> dict[str, str]:
    """Name -> value of each setting of this process that is not the default."""
    found = {}
    for name, default in VARIABLES.items():
        value = " ".join(os.environ.get(name, "").split())
        value = _AS_FLAG.get(value.lower(), value)
        if name == "NVIDIA_TF32_OVERRIDE" and value != "0":
            value = ""  # nothing else has a meaning, by NVIDIA's documentation
        if value.lower() not in ("", default):
            found[name] = value
    kept = _keras_json()
    for name, default in _SETTINGS.items():
        if kept.get(name, default) != default:
            found[_FILE + name] = str(kept[name])
    return found


def _keras_json() -> dict[str, object]:
    try:
        path = Path(keras_home()).expanduser() / "keras.json"
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # as Keras does
    return kept if isinstance(kept, dict) else {}


def needed_by(packages: Iterable[str]) -> bool:
    """Whether the settings say anything to code that imports these packages."""
    return not {"keras", "tensorflow"}.isdisjoint(packages)


def hold(planned: Mapping[str, str], stage: str) -> None:
    """Make the settings hold that the step was planned with, before TensorFlow is imported.

    `BadInput` where that can't be: for what a file of this machine says.
    """
    here = settings()
    other = sorted(name for name in here.keys() | planned if here.get(name) != planned.get(name))
    for name in other:
        if name not in VARIABLES or "tensorflow" in sys.modules:
            where = f" in {keras_home()}" if name.startswith(_FILE) else ""
            raise BadInput(
                f"{stage}: {name}{where} is {here.get(name, 'unset')} here, but the run was "
                f"planned with {planned.get(name, 'unset')}; make them equal and run again"
            )
        if name in planned:
            os.environ[name] = planned[name]
        else:
            os.environ.pop(name)
