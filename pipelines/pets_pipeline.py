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
from pipelines.engine.command import BAD_INPUT, hydra_main, refusing
from pipelines.engine.help import help_text
from pipelines.engine.overrides import HYDRA, LAUNCHER, Line, for_hydra, understand
from pipelines.engine.parameters import dotted, flatten, options
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
RERUN = Parameter("rerun", str, nullable=True, told="With run=queue: the id of a run, or latest.")


def run(composed: DictConfig, line: Line) -> float | None:
    """Run with the composed configuration; returns the test accuracy, for sweeps."""
    from hydra.core.hydra_config import HydraConfig

    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with refusing():  # here too, as Hydra would add lines of its own to what passes through it
            return _run(composed, line, HydraConfig.get(), folder)
    except SystemExit as end:
        if end.code == BAD_INPUT:
            _forget(folder)
        raise


def _run(composed: DictConfig, line: Line, hydra: DictConfig, folder: Path) -> float | None:
    from omegaconf import OmegaConf

    if line.is_sweep:
        from pipelines.sweeps import sweep

        return sweep.run_trial(PETS, hydra, folder)
    nested = OmegaConf.to_container(composed, resolve=True)
    base, texts = nested.pop("rerun"), flatten(nested)
    if "CLEARML_TASK_ID" in os.environ:
        return modes.on_agent(PETS, texts, folder)
    config = PETS.parameters.read(texts)
    _check(line, texts, config)
    if base is not None:
        return modes.rerun(PETS, base, config, _changed(line, texts), folder)
    OmegaConf.save(composed, folder / "config.yaml", resolve=True)
    try:
        return modes.run(PETS, config, folder)
    except OSError as error:
        if error.errno and error.filename is None:  # such as of a full disk
            error.filename = str(config.run.folder)
        raise


def _check(line: Line, texts: dict[str, str], config: Any) -> None:
    """Tell what was given in vain; `BadInput` for what is contradicted by the rest."""
    for name, text in PETS.parameters.completed(texts, config).items():
        for asked in {name, name.partition(".")[0]} & line.given.keys():
            told = f"{asked}={line.given[asked]}: the rest means {name}={text}"
            raise BadInput(f"{told}; leave one of them out")
    for told in PETS.parameters.check_effect(config, line.given, strict=True):
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
        known, groups = {**PETS.parameters.known, "rerun": RERUN}, options()
        if line.about is not None:
            defaults = dotted(PETS.parameters.defaults())
            print(help_text(ABOUT, known, groups, defaults, line.about))
            return
        groups[LAUNCHER] = ["basic", "joblib"]
        overrides = for_hydra(line, known | HYDRA, groups)
        for name in line.given:
            if line.is_sweep and name in known and known[name].is_text and "," in line.given[name]:
                told = f"{name}: for a value with a comma, quote twice: \"{name}='a,b'\""
                print(told, file=sys.stderr)
        hydra_main(lambda composed: run(composed, line), [*line.flags, *overrides])


if __name__ == "__main__":
    main()
