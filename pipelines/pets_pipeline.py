"""The entry: composes the configuration and runs the pipeline in the mode that it asks for.

python pipelines/pets_pipeline.py train.epochs=5 train/optimizer=sgd
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
import shutil

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from components.runtime.schema import BadInput
from pipelines.dag import PETS
from pipelines.engine import modes
from pipelines.engine.command import refuse, refusing
from pipelines.engine.parameters import flatten
from pipelines.engine.run_records import STAGES
from pipelines.sweeps import sweep

ABOUT = "Train and evaluate an image classifier: ingest -> preprocess -> train -> evaluate."
USAGE = "usage: python pipelines/pets_pipeline.py [group=option ...] [stage.parameter=value ...]"


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def compose(composed: DictConfig) -> float | None:
    """Run with the composed configuration; returns the test accuracy, for sweeps."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        return sweep.run_trial(PETS, HydraConfig.get(), folder)
    try:
        base, texts = _split(composed)
        if "CLEARML_TASK_ID" in os.environ:
            return modes.on_agent(PETS, texts, folder)
        config = PETS.parameters.read(texts)
        if base is not None:
            return modes.rerun(PETS, base, config, _changed(texts), folder)
        OmegaConf.save(composed, folder / "config.yaml", resolve=True)
        return modes.run(PETS, config, folder)
    except BadInput as error:
        _forget(folder)
        refuse(error)  # here, as Hydra would add lines of its own to what passes through it


def _split(composed: DictConfig) -> tuple[str | None, dict[str, str]]:
    """The earlier run to run again, if any, and the parameters as texts."""
    nested = OmegaConf.to_container(composed, resolve=True)
    return nested.pop("rerun"), flatten(nested)


def _changed(texts: dict[str, str]) -> set[str]:
    """The parameters that the command line sets, itself or by an option of a group."""
    named = {
        override.lstrip("+").partition("=")[0].replace(".", "/")
        for override in HydraConfig.get().overrides.task
    }
    defaults = PETS.parameters.defaults()
    differing = {name for name, text in texts.items() if defaults.get(name) != text}
    return (named & texts.keys()) | differing - {"run/mode"}


def _forget(folder: Path) -> None:
    """Remove the folder of a run that finished no stage."""
    if (folder / STAGES).exists():
        return
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    for name in ("config.yaml", "run.log"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder, *folder.parents[:2]):  # run, date and outputs, if nothing else is there
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def main() -> None:
    """Compose and run; exit code 2 for a mistake of the user's."""
    if {"-h", "--help"} & set(sys.argv):
        print(PETS.parameters.help_text(ABOUT, USAGE))
        return
    with refusing(lambda problem: PETS.parameters.explain(sys.argv[1:], problem)):
        compose()


if __name__ == "__main__":
    main()
