"""The devices that a training uses, and the precision that they are fast with."""

from __future__ import annotations

from components.imaging.framework import keras, tf
from components.train.parameters import Train


def make_repeatable(seed: int) -> None:
    """Seed everything; on a CPU the same seed then gives the same file of a model, bit by bit."""
    keras.utils.clear_session()  # layers are numbered from 1, whatever ran in this process before
    keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def all_devices() -> tf.distribute.Strategy:
    """All visible GPUs, each with its share of a batch; without GPUs the CPU.

    A CPU that was divided into several logical devices counts as so many.
    """
    for kind in ("GPU", "CPU"):
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy(devices)
        if devices:
            break
    return tf.distribute.get_strategy()


def dtype_policy(settings: Train) -> str:
    """The Keras dtype policy that `settings.precision` means on these devices."""
    precision = settings.precision
    if precision == "auto":
        precision = _fast_precision()
    return precision if precision == "float32" else f"mixed_{precision}"


def _fast_precision() -> str:
    """bfloat16 since compute capability 8.0, float16 since 7.0 (the first with tensor cores)."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    slowest = min((detail.get("compute_capability", (0, 0)) for detail in details), default=(0, 0))
    if slowest >= (8, 0):
        return "bfloat16"
    return "float16" if slowest >= (7, 0) else "float32"
