"""TensorFlow and Keras, imported quietly, fast and without leaving files in the home folder.

Every module that needs them says `from components.imaging.framework import keras, tf`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from components.runtime import environment


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keep what C++ code writes to stderr; show it only if an exception passes."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Hide packages that Keras imports where it finds them, and we do not need it to.

    scikit-learn costs 1.4 s, matplotlib.pyplot 0.4 s.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("KERAS_HOME", environment.keras_home())

with _held_back_stderr(), _without("sklearn", "matplotlib"):
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.config.list_physical_devices()  # the driver is looked for, and missed, here

__all__ = ["keras", "tf"]
