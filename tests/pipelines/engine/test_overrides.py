"""What a person types: taken as it stands, or refused in one line, whatever it is."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.runtime.schema import BadInput, quoted, split_list, unquoted
from components.runtime.text import printable
from pipelines import champion, export, optimize, outputs, pets_pipeline, predict
from pipelines import retrain_on_new_data as retrain
from pipelines.dag import PETS
from pipelines.engine import command, modes
from pipelines.engine.overrides import for_hydra, understand
from pipelines.engine.parameters import options
from pipelines.sweeps import sweep

OTHERS: dict[str, type] = {
    "champion": champion.Settings,
    "export": export.Export,
    "optimize": optimize.Settings,
    "outputs": outputs.Settings,
    "predict": predict.Predict,
    "retrain_on_new_data": retrain.Settings,
}
ODD = ("fotos ñ", "~/photos", "photos (1)", "it's", "a=b", "trailing ", " leading", "a,b", "'70s",
       "[x", "{x}", "a:b", "100%", "\\", "\\'", "#1", "a\nb", "null-ish", "007", "1e3", "true",
       "-", "--", "+x", "写真", "$HOME", "x;y", "a'b\"c", "@eaDir", "*.jpg", "choice(a,b)",
       "range(3)")  # fmt: skip


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Everything up to the work itself, whose settings are kept instead."""
    kept: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLEARML_TASK_ID", raising=False)
    monkeypatch.setattr(modes, "run", lambda pipeline, config, folder: kept.append(config))
    monkeypatch.setattr(modes, "rerun", lambda *_: None)
    monkeypatch.setattr(modes, "preflight", lambda *_: None)
    monkeypatch.setattr(sweep, "run_trial", lambda pipeline, hydra, folder: kept.append(hydra))
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    # Hydra closes all handlers that there are; absl's, which TensorFlow brings, closes its stream.
    monkeypatch.setattr(logging, "_handlerList", [])
    handlers, raising = logging.root.handlers[:], logging.raiseExceptions
    yield kept
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])
    logging.root.handlers[:], logging.raiseExceptions = handlers, raising


def say(name: str, arguments: list[str], kept: list[Any]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    kept.clear()
    before, sys.argv = sys.argv, [f"{name}.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if name == "pets_pipeline":
                pets_pipeline.main()
            else:
                command.command(PETS, OTHERS[name], name, kept.append)
        return 0, out.getvalue(), err.getvalue()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.argv = before


def refused(name: str, arguments: list[str], kept: list[Any]) -> str:
    """The one line that a command line gets."""
    code, _, told = say(name, arguments, kept)
    assert code == 2, (arguments, told)
    (line,) = told.splitlines()
    assert not kept
    return line.removeprefix("error: ")


@given(st.text())
def test_quotes_come_off_as_they_went_on(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert split_list(quoted(text)) == [quoted(text)]


@pytest.mark.parametrize("value", ODD)
def test_a_value_is_taken_as_typed_by_every_command(value: str, quiet: list[Any]) -> None:
    assert say("pets_pipeline", ["ingest=folder", f"ingest.path={value}"], quiet)[0] == 0
    assert quiet[0].ingest.path == value
    for name, given_ in (("predict", "images"), ("export", "folder"), ("champion", "promote")):
        assert say(name, [f"{given_}={value}"], quiet)[0] == 0
        assert getattr(quiet[0], given_) == value


def test_only_a_sweep_splits_at_commas_and_tells_how_to_quote(quiet: list[Any]) -> None:
    code, _, told = say("pets_pipeline", ["-m", "ingest=folder", "ingest.path=a (1),it's,b"], quiet)
    assert code == 0
    assert "ingest.path='a,b'" in told
    paths = [list(hydra.overrides.task)[-1] for hydra in quiet]
    assert [unquoted(path.partition("=")[2]) for path in paths] == ["a (1)", "it's", "b"]
    say("pets_pipeline", ["-m", "ingest=folder", "ingest.path='a,b'", "train.seed=1,2"], quiet)
    assert len(quiet) == 2


def test_lists_of_texts_with_commas(quiet: list[Any]) -> None:
    text = "parameters=['run.stages=[train,evaluate]',train.seed=3]"
    assert say("retrain_on_new_data", [text], quiet)[0] == 0
    assert quiet[0].parameters == ["run.stages=[train,evaluate]", "train.seed=3"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train.lr=1", "unknown parameter train.lr; did you mean train.learning_rate?"),
        ("batch_size=1", "unknown parameter batch_size; did you mean train.batch_size?"),
        ("train=1", "train=1: expected one of default"),
        ("=5", "=5: expected name=value"),
        ("+=", "+=: expected name=value"),
        ("photos", "photos: expected name=value"),
        ("~train.epochs", "~train.epochs: nothing can be taken away"),
        ("--experimental-rerun=x", "--experimental-rerun: there is no such option"),
        ("--exp=x", "--exp: there is no such option"),
        ("--config-name=optimize", "--config-name: there is no such option"),
        ("--shell-completion", "--shell-completion: there is no such option"),
        ("--resolve", "--resolve: goes with --cfg job"),
        ("--resolve -m --resolve", "--resolve: goes with --cfg job"),
        ("--cfg job -m", "-m: does not go with --cfg"),
        ("--cfg x", "--cfg x: expected one of job, hydra, all"),
        ("hydra=1", "unknown parameter hydra"),
        ("hydra.launcher.n_jobs=2", "hydra.launcher.n_jobs=2: needs hydra/launcher=joblib"),
        ("hydra.launcher.n_jobs=0 hydra/launcher=joblib", "hydra.launcher.n_jobs=0: expected"),
        ("ingest.path=${nowhere}", "ingest.path: Interpolation key 'nowhere' not found"),
        ("ingest.path=\udcff", "ingest.path=\\udcff: is no UTF-8"),
        ("run.outputs=/proc/none", "run.outputs: can't write /proc/none"),
        ("run.outputs=/dev/null/x", "run.outputs: can't write /dev/null/x"),
        (f"run.outputs={'x' * 300}", "run.outputs: can't write xxx"),
    ],
)
def test_a_mistake_is_one_line(arguments: str, words: str, quiet: list[Any]) -> None:
    assert refused("pets_pipeline", arguments.split(" "), quiet).startswith(words)


# -- what has no effect ---------------------------------------------------------------------------
def test_a_path_alone_means_my_photos_by_what_lies_there(quiet: list[Any], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "file").touch()
    for path, source in {"photos": "folder", "file": "archive", "x.zip": "archive",
                         "https://a/b": "archive", "l.csv": "table",
                         "gone": "folder"}.items():  # fmt: skip
        assert say("pets_pipeline", [f"ingest.path={path}"], quiet)[0] == 0
        assert (quiet[0].ingest.source, quiet[0].ingest.path) == (source, path)
    form = PETS.parameters.defaults() | {"ingest/path": "photos"}  # as NEW RUN sends it
    assert PETS.parameters.read(form).ingest.source == "folder"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest=sample", "ingest.path=photos"],
        ["ingest.source=sample", "ingest.path=photos"],
        ["ingest.dataset=a/b"],
        ["ingest=folder", "ingest.path=x", "ingest.dataset=a/b"],
        ["ingest=clearml_dataset", "ingest.dataset=a/b", "ingest.path=x"],
        ["ingest=folder", "ingest.path=x", "ingest.pattern={label}"],
        ["run.dataset=latest", "ingest.path=photos"],
        ["run.model=latest", "train.weights=imagenet"],
    ],
)
def test_what_contradicts_is_refused(arguments: list[str], quiet: list[Any]) -> None:
    assert "leave one of them out" in refused("pets_pipeline", arguments, quiet)


@pytest.mark.parametrize(
    ("arguments", "vain"),
    [
        (["train.momentum=0.5"], "train.momentum=0.5 has no effect with train.optimizer=adam"),
        (["train.fine_tune_learning_rate=1e-5"], "train.fine_tune_learning_rate=1e-05"),
        (["train.warmup_epochs=2", "train/schedule=constant"], "train.warmup_epochs=2.0"),
        (["run.queues.train=gpu"], "run.queues.train=gpu has no effect with run.mode=offline"),
        (["preprocess.parts=4"], "preprocess.parts=4 has no effect with run.mode=offline"),
        (["preprocess.quality=80", "preprocess.format=png"], "preprocess.quality=80"),
        (["run.model=latest", "train.epochs=5"], "train.epochs=5 has no effect with run.model="),
        (["run.stages=[ingest]", "train.epochs=5"], "train.epochs=5 has no effect with run.stages"),
        (["train.momentum=0.5", "train/optimizer=sgd"], ""),
        (["train.fine_tune_epochs=3", "train/model=resnet50"], ""),
        (["train/optimizer=adamw", "experiment=transfer"], ""),
    ],
)
def test_what_has_no_effect_is_told(arguments: list[str], vain: str, quiet: list[Any]) -> None:
    code, out, err = say("pets_pipeline", arguments, quiet)
    assert code == 0
    assert err == ""
    assert len(out.splitlines()) == bool(vain)
    assert out.startswith(vain)


def test_conditions_name_parameters_that_there_are() -> None:
    known = PETS.parameters.known
    for name, one in known.items():
        for part in filter(None, one.only_with.split(" and ")):
            other = part.replace("!=", "=").partition("=")[0]
            assert other in known or f"{name.partition('.')[0]}.{other}" in known, name


# -- help -----------------------------------------------------------------------------------------
def test_help_has_defaults_and_can_be_narrowed(quiet: list[Any]) -> None:
    _, whole, _ = say("pets_pipeline", ["--help"], quiet)
    assert "  train.epochs=80: an integer >= 1\n" in whole
    assert "  train.momentum=0.9: a number >= 0 and <= 0.9999; only with optimizer=sgd\n" in whole
    _, part, _ = say("pets_pipeline", ["--help", "train"], quiet)
    assert "train.epochs=80" in part
    assert "train/optimizer = adam | adamw | sgd" in part
    assert "preprocess." not in part
    assert refused("pets_pipeline", ["--help", "nothing"], quiet).startswith("--help nothing: ")


@pytest.mark.parametrize("name", ["predict", "export", "champion", "outputs"])
def test_a_command_leaves_out_what_it_ignores_and_refuses_it(name: str, quiet: list[Any]) -> None:
    _, told, _ = say(name, ["-h"], quiet)
    assert "run.project=pets" in told
    assert "queues" not in told
    assert "time_limits" not in told
    line = refused(name, ["run.queues.train=x"], quiet)
    assert line == f"run.queues.train: has no effect on {name}; leave it out"


# -- anything -------------------------------------------------------------------------------------
NAMES = [
    *PETS.parameters.known, *options(), "hydra.run.dir", "hydra/launcher", "hydra.verbose",
    "hydra.sweep.dir", "hydra.searchpath", "hydra.job.chdir", "hydra.mode", "rerun", "stages",
    "images", "model", "folder", "trials", "space", "remove", "train.lr", "", "x@y",
]  # fmt: skip
FLAGS = [
    "-m", "--multirun", "--run", "-r", "--cfg", "-c", "job", "hydra", "all", "--resolve", "-p",
    "--package", "--info", "--info=all", "--hydra-help", "--version", "-sc", "-cp", "-cn",
    "--config-dir=x", "-h", "--help", "--experimental-rerun", "--multi", "--", "-",
]  # fmt: skip
VALUES = [
    "1", "-1", "0.5", "1e999", "nan", "null", "", "true", "[", "[a,b]", "{a:1}", "a,b", "${x}",
    "${oc.env:HOME}", "${", "sgd", "quick", "offline", "queue", "folder", "'", "\"", "\\",
    "range(1,3)", "choice(1,2)", "interval(0,1)", "glob(*)", "a\nb", "\x1b[2J", *ODD,
]  # fmt: skip
TEXTS = st.sampled_from(VALUES) | st.text(st.characters(exclude_characters="\0/~"), max_size=12)
OVERRIDES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "", "+", "++", "~"]),
    st.sampled_from(NAMES) | st.text(st.characters(exclude_characters="\0"), max_size=8),
    st.sampled_from(["=", "=", "=", "", "=="]),
    TEXTS,
)
LINES = st.lists(OVERRIDES | st.sampled_from(FLAGS), min_size=1, max_size=4)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(["pets_pipeline"] * 4 + list(OTHERS)), arguments=LINES)
def test_no_command_line_ends_in_a_traceback(
    name: str, arguments: list[str], quiet: list[Any]
) -> None:
    code, _, told = say(name, arguments, quiet)
    assert code in (0, 2), (arguments, told)
    if code:
        (line,) = [line for line in told.splitlines() if "quote twice" not in line]
        assert line.startswith("error: "), (arguments, told)
        assert line == printable(line)


def test_what_hydra_gets_is_what_was_typed() -> None:
    known = PETS.parameters.known
    line = understand(["+train.epochs=5", "ingest.path=a'b", "ingest.sha256=007"])
    assert for_hydra(line, known, options()) == [
        "train.epochs=5", "ingest.path='a\\'b'", "ingest.sha256='007'"
    ]  # fmt: skip
    with pytest.raises(BadInput, match=r"train\.epochs=x: expected"):
        for_hydra(understand(["train.epochs=x"]), known, options())
