"""What the commands beside the pipeline share: their configuration, their store, their last words.

A command is a dataclass of parameters, its values in `conf/<name>.yaml`, and a function that gets
them together with `run`: `python pipelines/<name>.py parameter=value run=local`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from components.runtime.schema import (
    BadInput,
    Parameter,
    parameter,
    parameters_of,
    parse,
    unknown_name,
)
from components.runtime.stores import Store
from components.runtime.text import Formatter, printable
from pipelines.engine.parameters import CONF, RUN, Run, flatten
from pipelines.engine.pipeline import Pipeline

BAD_INPUT = 2  # exit code
INTERRUPTED = 130  # exit code after Ctrl-C
MISSING = "???"  # how YAML says that the command line must give the value

# Layered below the user's clearml.conf: settings of the SDK that save waiting, in steps as well.
SDK_SETTINGS = Path(__file__).parent / "clearml"


def command(pipeline: Pipeline, schema: type, name: str, work: Callable[[Any], None]) -> None:
    """Run `work` with the settings of `conf/<name>.yaml` and of the command line."""
    if {"-h", "--help"} & set(sys.argv):
        print(_help_text(with_run(pipeline, schema), name))
        return
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[told])
    for package in ("components", "pipelines"):
        logging.getLogger(package).setLevel(logging.INFO)
    with refusing(lambda problem: BadInput(" ".join(problem.split()))):
        work(read(pipeline, schema, name, sys.argv[1:]))


def with_run(pipeline: Pipeline, schema: type) -> type:
    """The parameters of a command, and `run`."""
    fields = [(RUN, pipeline.parameters.groups[RUN], parameter())]
    about = {"__doc__": schema.__doc__}
    return make_dataclass(schema.__name__, fields, bases=(schema,), namespace=about, frozen=True)


def read(pipeline: Pipeline, schema: type, name: str, overrides: list[str]) -> Any:
    """The settings of a command, with `run`; `BadInput` names the parameter that is wrong."""
    schema = with_run(pipeline, schema)
    known = parameters_of(schema)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key not in known and key != RUN:
            raise unknown_name(key, known)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(name, [_as_text(override, known) for override in overrides])
        composed = OmegaConf.to_container(composed, resolve=True)
    texts = flatten({key: value for key, value in composed.items() if value != MISSING})
    return parse(schema, {key.replace("/", "."): text for key, text in texts.items()})


def _as_text(override: str, known: dict[str, Parameter]) -> str:
    """The override with a text in quotes, as a file's name may have what Hydra reads otherwise."""
    key, _, value = override.partition("=")
    one = known.get(key)
    if one is None or one.type is not str or one.is_list:
        return override
    if not value or value[0] in "'\"" or "${" in value:
        return override
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"{key}='{escaped}'"


def open_store(run: Run) -> Store:
    """The datasets and models of a project on the server, or of the outputs offline."""
    if run.mode == "offline":
        from components.runtime.stores.local_store import LocalStore

        return LocalStore(Path(run.outputs).resolve())
    use_sdk_settings()
    from components.runtime.stores.server_store import ServerStore
    from pipelines.engine.server import check_connection

    check_connection()
    return ServerStore(run.project)


def use_sdk_settings() -> None:
    """Before clearml is imported."""
    os.environ.setdefault("CLEARML_CONFIG_PATH", str(SDK_SETTINGS))


@contextlib.contextmanager
def refusing(explain: Callable[[str], BadInput]) -> Iterator[None]:
    """End with one line and exit code 2 for a mistake of the user's; `explain` words Hydra's."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises, and we find the words
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BadInput as error:
        refuse(error)
    except (HydraException, OmegaConfBaseException) as error:
        refuse(explain(str(error)))
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        refuse(f"run.outputs: can't write {error.filename} ({error.strerror})")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        refuse(f"run.outputs: the disk is full ({error.filename}); free space and run again")


def refuse(problem: object) -> NoReturn:
    """End with one line that says what to change."""
    print(f"error: {printable(str(problem))}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def _help_text(schema: type, name: str) -> str:
    lines = [" ".join((schema.__doc__ or "").split()), ""]
    lines += [f"usage: python pipelines/{name}.py [parameter=value ...]", "", "Parameters:"]
    for key, known in parameters_of(schema).items():
        lines += [f"  {key}: {known.domain}", f"      {known.help}"]
    return "\n".join(lines)
