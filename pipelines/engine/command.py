"""What the commands beside the pipeline share: their configuration, their store, their last words.

A command is a dataclass of parameters, its values in `conf/<name>.yaml`, and a function that gets
them together with `run`: `python pipelines/<name>.py parameter=value run=local`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from components.runtime import INTERRUPTED, TERMINATED
from components.runtime.schema import (
    INSTALL,
    BadInput,
    Parameter,
    parameter,
    parameters_of,
    parse,
)
from components.runtime.stores import Store
from components.runtime.text import Formatter, printable
from pipelines.engine.help import help_text
from pipelines.engine.overrides import for_hydra, understand
from pipelines.engine.parameters import CONF, RUN, Run, dotted, flatten, options
from pipelines.engine.pipeline import Pipeline

BAD_INPUT = 2  # exit code
UNWRITABLE = {
    getattr(errno, name)
    for name in "EACCES EPERM EROFS ENOTDIR EEXIST EISDIR ENAMETOOLONG ENOENT ELOOP".split()
}
HEEDS = ("mode", "project", "outputs")  # of `run`, by commands that need a store
MISSING = "???"  # how YAML says that the command line must give the value

# Layered below the user's clearml.conf: settings of the SDK that save waiting, in steps as well.
SDK_SETTINGS = Path(__file__).parent / "clearml"


def command(
    pipeline: Pipeline,
    schema: type,
    name: str,
    work: Callable[[Any], None],
    heeds: tuple[str, ...] = HEEDS,
) -> None:
    """Run `work` with the settings of `conf/<name>.yaml` and of the command line.

    `heeds` are the parameters of `run` that have an effect on it; others are refused.
    """
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[told])
    for package in ("components", "pipelines"):
        logging.getLogger(package).setLevel(logging.INFO)
    with refusing():
        if (about := understand(sys.argv[1:]).about) is not None:
            print(_help_text(pipeline, schema, name, heeds, about))
        else:
            work(read(pipeline, schema, name, sys.argv[1:], heeds))


def read(
    pipeline: Pipeline, schema: type, name: str, overrides: list[str], heeds: tuple[str, ...] = ()
) -> Any:
    """The settings of a command, with `run`; `BadInput` names the parameter that is wrong."""
    line, known = understand(overrides), _known(pipeline, schema, heeds)
    for given in line.given:
        if given not in known and given in pipeline.parameters.known and given.startswith(RUN):
            raise BadInput(f"{given}: has no effect on {name}; leave it out")
    texts = _composed(name, for_hydra(line, known, {RUN: options()[RUN]}))
    texts = {key: text for key, text in texts.items() if text != MISSING}
    return parse(with_run(pipeline, schema), texts)


def with_run(pipeline: Pipeline, schema: type) -> type:
    """The parameters of a command, and `run`."""
    fields = [(RUN, pipeline.parameters.groups[RUN], parameter())]
    about = {"__doc__": schema.__doc__}
    return make_dataclass(schema.__name__, fields, bases=(schema,), namespace=about, frozen=True)


def _known(pipeline: Pipeline, schema: type, heeds: tuple[str, ...]) -> dict[str, Parameter]:
    """The parameters of a command, and those of `run` that it heeds: all if none are named."""
    known = pipeline.parameters.known.items()
    wanted = {f"{RUN}.{name}" for name in heeds}
    runs = {
        name: one for name, one in known if name in wanted or (not heeds and name.startswith(RUN))
    }
    return parameters_of(schema) | runs


def _composed(name: str, overrides: list[str]) -> dict[str, str]:
    """The texts of conf/<name>.yaml by dotted name."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = OmegaConf.to_container(hydra.compose(name, overrides), resolve=True)
    return dotted(flatten(composed))


def _help_text(
    pipeline: Pipeline, schema: type, name: str, heeds: tuple[str, ...], words: list[str]
) -> str:
    about = " ".join((schema.__doc__ or "").split())
    usage = f"usage: python pipelines/{name}.py [parameter=value ...], or --help WORD"
    known, groups = _known(pipeline, schema, heeds), {RUN: options()[RUN]}
    return help_text(f"{about}\n\n{usage}", known, groups, _composed(name, []), words)


def open_store(run: Run) -> Store:
    """The datasets and models of a project on the server, or of the outputs offline."""
    if run.mode == "offline":
        from components.runtime.stores.local_store import LocalStore

        return LocalStore(run.folder)
    use_sdk_settings()
    from components.runtime.stores.server_store import ServerStore
    from pipelines.engine.server import check_connection

    check_connection()
    return ServerStore(run.project)


def use_sdk_settings() -> None:
    """Before clearml is imported."""
    os.environ.setdefault("CLEARML_CONFIG_PATH", str(SDK_SETTINGS))


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """End with one line and exit code 2 for a mistake of the user's, and for what a disk refuses.

    A reader of our output that has seen enough, such as `head`, is no mistake.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises, and we find the words
    logging.raiseExceptions = False  # of a log that nobody reads any more
    _end_as_by_ctrl_c()
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt as error:
        sys.exit(tell_interruption(error))
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).partition("\n")[0]
        refuse(f"{error.full_key or 'configuration'}: {reason}")
    except (BadInput, HydraException) as error:
        refuse(" ".join(str(error).split("\n")))
    except ModuleNotFoundError as error:
        if str(error.name).startswith(("components", "pipelines")):
            raise
        refuse(f"{error.name} is not installed here; {INSTALL}")
    except (OSError, ValueError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__  # logging wraps its own
        if not isinstance(cause, OSError):
            raise
        refuse(_told(cause))


def tell_interruption(error: KeyboardInterrupt) -> int:
    """Say it in a word; the exit code."""
    print(error.args[0] if error.args else "interrupted", file=sys.stderr)
    return TERMINATED if error.args else INTERRUPTED


def hydra_main(function: Callable[[Any], Any], arguments: list[str]) -> None:
    """Call `function` with the configuration that Hydra composes, once for each run of a sweep."""
    sys.argv[1:] = arguments
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(function)()


def _end_as_by_ctrl_c() -> None:
    """By SIGTERM, too; a task's process is ended by its agent, which ClearML sees to."""

    def end(*_: Any) -> NoReturn:
        raise KeyboardInterrupt("terminated")

    is_main = threading.current_thread() is threading.main_thread()
    if is_main and "CLEARML_TASK_ID" not in os.environ:
        signal.signal(signal.SIGTERM, end)


def refuse(problem: object) -> NoReturn:
    """End with one line that says what to change."""
    print(f"error: {printable(str(problem))}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def _told(error: OSError) -> str:
    """Which file, what is the matter with it, and what to do."""
    reason = error.strerror or " ".join(str(error).split())
    place = os.fsdecode(error.filename) if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"run.outputs: the disk is full{place and f' ({place})'}; free space and run again"
    if error.errno in UNWRITABLE:
        return f"run.outputs: can't write {place} ({reason}); choose a folder that can be written"
    return f"{place or type(error).__name__}: {reason}; see that it is there and can be read"
