"""The entry: composes the configuration and runs the pipeline in the mode that it asks for.

python pipelines/pets_pipeline.py train.epochs=5 train/optimizer=sgd
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import logging
import os
import shutil
from typing import TYPE_CHECKING, Any

from components.runtime.schema import BadInput, Parameter
from pipelines.dag import PETS
from pipelines.engine import modes
from pipelines.engine.command import hydra_main, refuse, refusing, resolved
from pipelines.engine.help import help_text
from pipelines.engine.overrides import Line, for_hydra, understand
from pipelines.engine.parameters import dotted, flatten, option_values, options
from pipelines.engine.run_records import STAGES

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("pipelines.pets_pipeline")  # whether run or imported

ABOUT = """Train and evaluate an image classifier: ingest -> preprocess -> train -> evaluate.

usage: python pipelines/pets_pipeline.py [group=option ...] [stage.parameter=value ...]

  ingest.path=photos   train on your own photos: a folder, an archive or a table
  --help WORD          only what has this word in its name: a stage, a group or a parameter
  --cfg job            print the composed configuration and stop
  -m                   one run for each combination of comma-separated values; a value with a
                       comma in quotes inside quotes: "ingest.path='a,b'\""""
RERUN = Parameter(
    "rerun", str, nullable=True, told="With run=queue: the id of an earlier run, or latest."
)


def run(composed: DictConfig, line: Line) -> float | None:
    """Run with the composed configuration; returns the test accuracy, for sweeps."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        from pipelines.sweeps import sweep

        return sweep.run_trial(PETS, HydraConfig.get(), folder)
    try:
        nested = resolved(composed)
        base, texts = nested.pop("rerun"), flatten(nested)
        if "CLEARML_TASK_ID" in os.environ:
            return modes.on_agent(PETS, texts, folder)
        config = PETS.parameters.read(texts)
        _check(line, texts, config)
        if base is not None:
            return modes.rerun(PETS, base, config, _changed(line, texts), folder)
        from omegaconf import OmegaConf

        OmegaConf.save(composed, folder / "config.yaml", resolve=True)
        return modes.run(PETS, config, folder)
    except BadInput as error:
        _forget(folder)
        refuse(error)  # here, as Hydra would add lines of its own to what passes through it


def _check(line: Line, texts: dict[str, str], config: Any) -> None:
    """Tell what was given in vain; `BadInput` for options that others contradict."""
    parameters = PETS.parameters
    given = [name for name in line.given if name in parameters.known]
    chosen = {name: f"{name}={line.given[name]}" for name in given}
    for name, option in line.given.items():
        chosen |= dict.fromkeys(option_values(name, option), f"{name}={option}")
    for name, text in parameters.completed(texts, config).items():
        if name in chosen:
            raise BadInput(f"{chosen[name]}: the rest means {name}={text}; leave one of them out")
    for told in parameters.check_effect(config, given):
        log.warning(told)


def _changed(line: Line, texts: dict[str, str]) -> set[str]:
    """The parameters that the command line sets, itself or by an option of a group."""
    named = {name.replace(".", "/") for name in line.given}
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
    with refusing():
        line = understand(sys.argv[1:], takes_flags=True)
        known = {**PETS.parameters.known, "rerun": RERUN}
        if line.wants_help:
            defaults = dotted(PETS.parameters.defaults())
            print(help_text(ABOUT, known, options(), defaults, line.words))
            return
        overrides = for_hydra(line, known, options())
        for told in line.told:
            print(told, file=sys.stderr)
        hydra_main(lambda composed: run(composed, line), [*line.flags, *overrides])


if __name__ == "__main__":
    main()
