"""Trains in a process of its own, which may have several devices and may die on the way.

python -m tests.train.child JSON: dataset, folder, checkpoints, settings, and perhaps devices,
signal and after (the epoch after which the process sends the signal to itself).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from components.imaging.framework import tf
from components.train.fit import train_classifier
from tests.train.helpers import settings

task = json.loads(sys.argv[1])
if "devices" in task:
    cpus = [tf.config.LogicalDeviceConfiguration()] * task["devices"]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)


def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
    if epoch == task.get("after"):
        os.kill(os.getpid(), task["signal"])
        time.sleep(60)


train_classifier(
    Path(task["dataset"]),
    Path(task["folder"]),
    settings(**task["settings"]),
    on_epoch,
    Path(task["checkpoints"]) if "checkpoints" in task else None,
)
