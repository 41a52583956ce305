"""The pipeline: which output goes into which stage."""

from __future__ import annotations

from components.runtime.stores import PIPELINE
from pipelines.engine.pipeline import Pipeline
from pipelines.stages import STAGES, headline

PETS = Pipeline(
    name=PIPELINE,  # on ClearML
    version="1.0.0",
    entry="pipelines/pets_pipeline.py",
    table=STAGES,
    dag={  # in the order in which they run; inputs of each: argument -> the stage that makes it
        "ingest": {},
        "preprocess": {"raw": "ingest"},
        "features": {"dataset": "preprocess"},
        "train": {"dataset": "preprocess", "features": "features"},
        "evaluate": {"model": "train", "dataset": "preprocess", "features": "features"},
    },
    objective="test",
    headline=headline,
)
