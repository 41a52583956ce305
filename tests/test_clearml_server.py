"""What the pipelines rely on in a ClearML server, asked of the in-memory one or of a real one.

`pytest --clearml-conf FILE tests/test_clearml_server.py` asks the real one, so that the in-memory
server can't drift from it.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest


class Api:
    """The API of the server of a clearml.conf: `api("tasks.get_all", name="x")`."""

    def __init__(self, conf: Path):
        def value(key: str) -> str:
            return re.search(rf'"?{key}"?\s*[=:]\s*"([^"]+)"', text)[1]

        text = conf.read_text()
        self.url, self.files_url = value("api_server"), value("files_server")
        keys = f"{value('access_key')}:{value('secret_key')}".encode()
        self.login = {"Authorization": "Basic " + base64.b64encode(keys).decode()}
        self.headers = dict(self.login)
        self.headers["Authorization"] = "Bearer " + self("auth.login")["token"]

    def request(self, name: str, body: bytes, headers: dict) -> tuple[int, int, str, dict]:
        """HTTP status, subcode, message and data."""
        request = urllib.request.Request(f"{self.url}/{name}", body, headers, method="POST")
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=30))
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        meta = answer["meta"]
        return meta["result_code"], meta["result_subcode"], meta["result_msg"], answer["data"]

    def __call__(self, name: str, /, **data) -> dict:
        json_type = {"Content-Type": "application/json"}
        status = self.request(name, json.dumps(data).encode(), self.headers | json_type)
        assert status[0] == 200, f"{name}: {status}"
        return status[3]

    def refused(self, name: str, /, **data) -> tuple[int, int]:
        json_type = {"Content-Type": "application/json"}
        return self.request(name, json.dumps(data).encode(), self.headers | json_type)[:2]

    def events(self, *events: dict) -> tuple[int, int, str, dict]:
        body = "\n".join(map(json.dumps, events)).encode()
        lines = {"Content-Type": "application/json-lines"}
        return self.request("events.add_batch", body, self.headers | lines)

    def task(self, id_: str) -> dict:
        return self("tasks.get_by_id", task=id_)["task"]


@pytest.fixture(scope="module")
def api(clearml_conf: Path) -> Api:
    return Api(clearml_conf)


@pytest.fixture
def name() -> str:
    """A name that no other test used, for a server that remembers."""
    return f"contract-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def project(api: Api, name: str) -> str:
    return api("projects.create", name=name)["id"]


@pytest.fixture
def task(api: Api, project: str) -> str:
    return api("tasks.create", name="some task", type="training", project=project)["id"]


@pytest.fixture
def queue(api: Api, name: str) -> str:
    return api("queues.create", name=name)["id"]


def scalar(task: str, iteration: int, value: float, metric: str = "loss") -> dict:
    return {
        "type": "training_stats_scalar",
        "task": task,
        "metric": metric,
        "variant": "val",
        "iter": iteration,
        "value": value,
        "timestamp": 1000 + iteration,
    }


def param(name: str, value: str, **more) -> dict:
    return {"section": "Args", "name": name, "value": value, **more}


# -- who may ask, and for what ---------------------------------------------------------------------
def test_wrong_keys_are_refused(api: Api) -> None:
    wrong = {"Authorization": "Basic " + base64.b64encode(b"no:body").decode()}
    assert api.request("auth.login", b"{}", wrong)[0] == 401
    assert api.request("tasks.get_all", b"{}", {})[:2] == (401, 20)


def test_endpoints_beyond_the_open_source_server_are_not_found(api: Api) -> None:
    assert api.refused("workers.get_runtime_properties", worker="w") == (404, 0)


@pytest.mark.parametrize(
    ("endpoint", "data", "code"),
    [
        ("tasks.create", {"name": "ab", "type": "training"}, (400, 800)),
        ("projects.create", {"name": "abc/de"}, (400, 12)),
        ("queues.create", {"name": "ab"}, (400, 800)),
        ("tasks.create", {"name": "abc", "type": "nonsense"}, (400, 12)),
        ("tasks.create", {"name": "abc", "type": "training", "project": "none"}, (400, 16)),
        ("tasks.create", {"type": "training"}, (400, 12)),
        ("tasks.get_by_id", {"task": "none"}, (400, 101)),
        ("tasks.get_all", {"only_fields": ["nonsense"]}, (400, 14)),
        ("tasks.get_all", {"page": 0, "page_size": 0}, (400, 12)),
        ("tasks.get_all", {"tags": ["__$nonsense"]}, (400, 16)),
        ("queues.get_by_id", {"queue": "none"}, (400, 701)),
        ("models.get_by_id", {"model": "none"}, (400, 201)),
    ],
)
def test_refusals(api: Api, endpoint: str, data: dict, code: tuple[int, int]) -> None:
    assert api.refused(endpoint, **data) == code


def test_a_queue_name_is_taken_once(api: Api, name: str, queue: str) -> None:
    assert api.refused("queues.create", name=name) == (400, 801)


def test_parents_of_a_project_are_made(api: Api, name: str) -> None:
    api("projects.create", name=f"{name}/one/two")
    found = api("projects.get_all", name=f"^{name}/one$", search_hidden=True)["projects"]
    assert [p["name"] for p in found] == [f"{name}/one"]


# -- the life of a task ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("started completed", 200),
        ("started stopped started", 200),
        ("started failed", 200),
        ("started completed publish", 200),
        ("completed", 400),
        ("started completed failed", 400),
        ("started failed started", 400),
        ("started completed publish started", 400),
    ],
)
def test_the_state_machine(api: Api, task: str, path: str, last: int) -> None:
    *steps, final = path.split()
    for step in steps:
        api(f"tasks.{step}", task=task)
    code = api.refused(f"tasks.{final}", task=task)
    assert code[0] == last
    assert last == 200 or code == (400, 110)


def test_a_running_task_is_edited_by_force_only(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    edits = {"task": task, "hyperparams": [param("a", "1")]}
    assert api.refused("tasks.edit_hyper_params", **edits) == (400, 110)
    assert api.refused("tasks.edit", task=task, comment="x") == (400, 110)
    api("tasks.edit_hyper_params", **edits, force=True)
    assert api.task(task)["hyperparams"]["Args"]["a"]["value"] == "1"


def test_a_reset_task_has_no_results(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    api.events(scalar(task, 3, 1.0))
    api("tasks.stopped", task=task)
    api("tasks.reset", task=task)
    found = api.task(task)
    assert (found["status"], found["last_metrics"], found["last_iteration"]) == ("created", {}, 0)


def test_a_clone_has_the_inputs_and_not_the_outputs(api: Api, task: str) -> None:
    artifacts = [{"key": k, "type": "t", "mode": k, "uri": "u"} for k in ("input", "output")]
    api("tasks.edit_hyper_params", task=task, hyperparams=[param("a", "1", type="int")])
    api("tasks.started", task=task)
    api("tasks.add_or_update_artifacts", task=task, artifacts=artifacts)
    clone = api.task(api("tasks.clone", task=task, new_task_name="a clone")["id"])
    assert (clone["name"], clone["status"], clone["parent"]) == ("a clone", "created", task)
    assert [a["key"] for a in clone["execution"]["artifacts"]] == ["input"]
    assert clone["hyperparams"]["Args"]["a"]["type"] == "int"


def test_queued_and_back(api: Api, task: str, queue: str) -> None:
    assert api.refused("tasks.enqueue", task=task, queue="none") == (400, 701)
    assert api.task(task)["status"] == "created"
    api("tasks.enqueue", task=task, queue=queue)
    assert api.refused("tasks.enqueue", task=task, queue=queue) == (400, 706)
    assert api("queues.get_num_entries", queue=queue)["num"] == 1
    api("tasks.dequeue", task=task)
    assert api("queues.get_num_entries", queue=queue)["num"] == 0
    assert api.task(task)["status"] == "created"


def test_a_queue_is_first_in_first_out(api: Api, project: str, queue: str) -> None:
    ids = [
        api("tasks.create", name=f"task {i}", type="training", project=project)["id"]
        for i in range(3)
    ]
    for id_ in ids:
        api("tasks.enqueue", task=id_, queue=queue)
    assert [api("queues.get_next_task", queue=queue)["entry"]["task"] for _ in ids] == ids
    assert "entry" not in api("queues.get_next_task", queue=queue)


def test_stop_asks_the_agent_that_runs_a_task(api: Api, name: str, task: str, queue: str) -> None:
    api("workers.register", worker=name, queues=[queue])
    api("tasks.started", task=task)
    report = {"worker": name, "queues": [queue], "task": task, "timestamp": 1}
    api("workers.status_report", **report)
    api("tasks.stop", task=task, status_reason="abort")
    found = api.task(task)
    assert (found["status"], found["status_message"]) == ("in_progress", "stopping")
    assert found["status_reason"] == "abort"
    api("workers.unregister", worker=name)


@pytest.mark.parametrize("enqueued", [True, False])
def test_stop_ends_at_once_what_no_agent_runs(
    api: Api, task: str, queue: str, enqueued: bool
) -> None:
    if enqueued:
        api("tasks.enqueue", task=task, queue=queue)
    else:
        api("tasks.started", task=task)
    api("tasks.stop", task=task)
    assert api.task(task)["status"] == "stopped"
    assert "entry" not in api("queues.get_next_task", queue=queue)


def test_workers_and_their_queues(api: Api, name: str, task: str, queue: str) -> None:
    assert api.refused("workers.register", worker=name, queues=["none"]) == (400, 701)
    api("workers.register", worker=name, queues=[queue], timeout=60)
    worker = next(w for w in api("workers.get_all", last_seen=60)["workers"] if w["id"] == name)
    assert [(q["id"], q["name"]) for q in worker["queues"]] == [(queue, name)]
    assert api("tasks.enqueue", task=task, queue=queue, verify_watched_queue=True)["queue_watched"]
    api("workers.unregister", worker=name)
    assert name not in [w["id"] for w in api("workers.get_all")["workers"]]


# -- parameters and NEW RUN ------------------------------------------------------------------------
def test_names_of_parameters_come_back_as_they_were(api: Api, task: str) -> None:
    names = ["train/epochs", "train.epochs", "a$b", "50%", "__x__", "_y"]
    api("tasks.edit_hyper_params", task=task, hyperparams=[param(n, "1") for n in names])
    assert sorted(api.task(task)["hyperparams"]["Args"]) == sorted(names)
    for replace, kept in (("none", [*names, "new"]), ("section", ["new"])):
        items = [param("new", "2")]
        api("tasks.edit_hyper_params", task=task, hyperparams=items, replace_hyperparams=replace)
        assert sorted(api.task(task)["hyperparams"]["Args"]) == sorted(kept)


def test_new_run(api: Api, name: str, project: str, queue: str) -> None:
    names = ("train/epochs", "train/seed", "train.rate")
    typed = {n: param(n, "1", type="int", description="words") for n in names}
    base = api(
        "tasks.create",
        name=name,
        type="controller",
        project=project,
        system_tags=["pipeline"],
        hyperparams={"Args": typed},
    )["id"]
    args = [{"name": n, "value": "5"} for n in ("train/epochs", "train.rate")]
    answer = api("pipelines.start_pipeline", task=base, queue=queue, args=args)
    run = api.task(answer["pipeline"])
    assert (run["name"], run["status"], run["parent"]) == (f"{name} #2", "queued", base)
    found = run["hyperparams"]["Args"]
    assert found["train/epochs"] == param("train/epochs", "5"), "type and description are lost"
    assert found["train/seed"]["type"] == "int", "kept where nothing was sent"
    assert found["train.rate"]["value"] == "5"
    assert found["train%2Erate"]["value"] == "1", "a dotted name becomes two parameters"

    again = api("pipelines.start_pipeline", task=run["id"], queue=queue, args=args[:1])
    rerun = api.task(again["pipeline"])
    assert rerun["parent"] == base, "a rerun of a rerun stays with the first run"
    assert sorted(n for n in rerun["hyperparams"]["Args"] if "/" in n) == sorted(names[:2])


def test_new_run_takes_text_only(api: Api, task: str, queue: str) -> None:
    request = {"task": task, "queue": queue, "args": [{"name": "a", "value": 5}]}
    assert api.refused("pipelines.start_pipeline", **request) == (400, 12)


def test_configuration_objects(api: Api, task: str) -> None:
    items = [{"name": n, "value": "text", "type": "yaml"} for n in ("a.yaml", "b")]
    api("tasks.edit_configuration", task=task, configuration=items)
    assert api.task(task)["configuration"]["a.yaml"]["value"] == "text"
    api("tasks.delete_configuration", task=task, configuration=["a.yaml"])
    assert sorted(api.task(task)["configuration"]) == ["b"]


# -- what a task reports ---------------------------------------------------------------------------
def test_last_metrics(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    api.events(scalar(task, 0, 1.0), scalar(task, 1, 4.0))
    api.events(scalar(task, 3, 2.0), scalar(task, 2, -1.0))
    api.events(scalar(task, 900, 50.0, metric=":monitor:machine"))
    found = api.task(task)
    value = next(
        v for m in found["last_metrics"].values() for v in m.values() if v["metric"] == "loss"
    )
    expected = {"value": 2.0, "min_value": -1.0, "max_value": 4.0, "first_value": 1.0}
    assert {k: value[k] for k in expected} == expected
    assert (value["min_value_iteration"], value["max_value_iteration"]) == (2, 1)
    assert found["last_iteration"] == 3, "machine metrics do not count"


def test_scalars_replace_and_come_back_in_order(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    api.events(*(scalar(task, i, float(i)) for i in (2, 0, 1)), scalar(task, 1, 7.0))
    single = scalar(task, -(2**31), 0.5, metric="Summary")
    api.events(single)
    series = api("events.scalar_metrics_iter_histogram", task=task)["loss"]["val"]
    assert (series["x"], series["y"]) == ([0, 1, 2], [0.0, 7.0, 2.0])
    values = api("events.get_task_single_value_metrics", tasks=[task])["tasks"][0]["values"]
    assert [(v["metric"], v["value"]) for v in values] == [("Summary", 0.5)]


def test_console_lines(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    lines = [{"type": "log", "task": task, "msg": f"{i}", "timestamp": 100 + i} for i in range(5)]
    api.events(*lines)

    def read(**request) -> list[str]:
        return [e["msg"] for e in api("events.get_task_log", task=task, **request)["events"]]

    assert read(batch_size=2) == ["4", "3"]
    assert read(batch_size=2, order="asc") == ["3", "4"]
    assert read(batch_size=2, navigate_earlier=False, from_timestamp=101) == ["2", "3"]


def test_a_published_task_takes_no_events(api: Api, task: str) -> None:
    for step in ("started", "completed", "publish"):
        api(f"tasks.{step}", task=task)
    code, subcode, message, _ = api.events(scalar(task, 0, 1.0))
    assert (code, subcode) == (400, 131)
    assert f"Invalid task id {task}=1" in message


def test_plots_and_images_of_the_last_iterations(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    for iteration in range(3):
        event = {"task": task, "metric": "m", "variant": "v", "iter": iteration}
        api.events(
            {**event, "type": "plot", "plot_str": "{}"},
            {**event, "type": "training_debug_image", "url": f"u{iteration}", "key": "k"},
        )
    plots = api("events.get_task_plots", task=task, iters=2)["plots"]
    assert [p["iter"] for p in plots] == [2, 1]
    request = {"metrics": [{"task": task, "metric": "m"}], "iters": 1}
    first = api("events.debug_images", **request)
    second = api("events.debug_images", **request, scroll_id=first["scroll_id"])
    iterations = [a["metrics"][0]["iterations"][0]["iter"] for a in (first, second)]
    assert iterations == [2, 1]


def test_artifacts_are_kept_by_key(api: Api, task: str) -> None:
    api("tasks.started", task=task)
    for uri in ("one", "two"):
        artifact = {"key": "report", "type": "html", "mode": "output", "uri": uri}
        api("tasks.add_or_update_artifacts", task=task, artifacts=[artifact])
    artifacts = api.task(task)["execution"]["artifacts"]
    assert [(a["key"], a["uri"]) for a in artifacts] == [("report", "two")]


# -- queries ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "^first"}, ["first"]),
        ({"name": "FIRST"}, []),
        ({"_any_": {"fields": ["name", "comment"], "pattern": "FIR"}}, ["first", "third"]),
        ({"_all_": {"fields": ["runtime._key"], "pattern": "^abc$"}}, ["second"]),
        ({"tags": ["x"]}, ["first", "second"]),
        ({"tags": ["x", "-y"]}, ["first"]),
        ({"tags": ["__$all", "x", "y"]}, ["second"]),
        ({"tags": ["__$all", "x", "__$not", "y"]}, ["first"]),
        ({"tags": ["__$any", "x", "y", "z"]}, ["first", "second", "third"]),
        ({"tags": ["__$any", "z", "__$not", "y"]}, ["first", "third"]),
        ({"tags": ["-x"]}, ["third"]),
        ({"system_tags": ["-archived"]}, ["first", "third"]),
        ({"status": ["in_progress"]}, ["third"]),
        ({"type": ["training"]}, ["first", "second"]),
        ({"search_hidden": True}, ["first", "hidden", "second", "third"]),
        ({"status_changed": [">=2020-01-01T00:00:00"]}, ["third"]),
        ({"last_update": ["<2020-01-01"]}, []),
        ({"order_by": ["-name"]}, ["third", "second", "first"]),
        ({"order_by": ["name"], "page": 1, "page_size": 2}, ["third"]),
        ({"hyperparams.Args.a%2Eb.value": ["1"]}, ["first"]),
        ({"nonsense": 1}, ["first", "second", "third"]),
    ],
)
def test_queries(
    api: Api, family: str, query: dict, expected: list[str], request: pytest.FixtureRequest
) -> None:
    query = {"order_by": ["name"], **query}
    found = api("tasks.get_all", project=[family], only_fields=["name"], **query)["tasks"]
    assert [t["name"] for t in found] == expected
    assert all(set(t) == {"name"} for t in found)


@pytest.fixture(scope="module")
def family(api: Api) -> str:
    """A project with a few tasks that differ."""
    project = api("projects.create", name=f"contract-{uuid.uuid4().hex[:12]}")["id"]
    common = {"type": "training", "project": project}
    hyperparams = {"Args": {"a.b": param("a.b", "1")}}
    api("tasks.create", name="first", tags=["x"], hyperparams=hyperparams, **common)
    api(
        "tasks.create",
        **{"name": "second", "tags": ["x", "y"], "system_tags": ["archived"]},
        runtime={"_key": "abc"},
        **common,
    )
    third = {"name": "third", "comment": "after the first", "type": "testing", "tags": ["z"]}
    api("tasks.started", task=api("tasks.create", **(common | third))["id"])
    api("tasks.create", name="hidden", system_tags=["hidden"], tags=["x"], **common)
    return project


def test_a_projection_of_nested_fields(api: Api, task: str) -> None:
    api("tasks.edit", task=task, script={"entry_point": " main.py ", "binary": "python3"})
    fields = ["script.entry_point", "execution.queue", "status"]
    found = api("tasks.get_all", id=[task], only_fields=fields)["tasks"]
    assert found == [{"script": {"entry_point": "main.py"}, "execution": {}, "status": "created"}]


# -- models and files ------------------------------------------------------------------------------
def test_models(api: Api, project: str, task: str) -> None:
    metadata = {"val.accuracy": {"key": "val.accuracy", "value": "0.9", "type": "float"}}
    model = api(
        "models.create",
        **{"name": "cats", "uri": "http://u", "project": project, "ready": False},
        **{"labels": {"cat": 0}, "metadata": metadata},
    )["id"]
    api("models.edit", model=model, framework="Keras", tags=["best"])
    found = api("v2.20/models.get_all", project=[project], tags=["best"])["models"]
    assert [(m["id"], m["framework"], m["metadata"]) for m in found] == [(model, "Keras", metadata)]
    api("tasks.started", task=task)
    api("tasks.add_or_update_model", task=task, name="out", model=model, type="output")
    assert [m["model"] for m in api.task(task)["models"]["output"]] == [model]
    api("models.set_ready", model=model)
    assert api.refused("models.set_ready", model=model) == (400, 203)


def test_files(api: Api, name: str) -> None:
    path, content = f"{name}/a folder/file.bin", bytes(range(256)) * 1000 + b"\r\n--x"
    body = (
        b'--x0\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n--x0--\r\n'
    )
    headers = api.headers | {"Content-Type": "multipart/form-data; boundary=x0"}

    def ask(url: str, data: bytes | None = None, **more) -> bytes:
        request = urllib.request.Request(f"{api.files_url}/{url}", data, headers, **more)
        return urllib.request.urlopen(request, timeout=30).read()

    assert json.loads(ask("", body % (path.encode(), content))) == [path]
    url = path.replace(" ", "%20")
    assert ask(url) == content
    ask(url, method="DELETE")
    for gone in (url, "../../etc/hostname"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(gone)


# -- the real SDK ----------------------------------------------------------------------------------
def run_sdk(conf: Path, folder: Path, script: str, *args: str) -> dict:
    """Run a script that prints JSON in its last line, with the settings that save waiting."""
    environment = os.environ | {
        "CLEARML_CONFIG_FILE": str(conf),
        "CLEARML_CACHE_DIR": str(folder / "cache"),
        "CLEARML__SDK__DEVELOPMENT__REPORT_USE_SUBPROCESS": "false",
        "CLEARML__SDK__STORAGE__CACHE__DEFAULT_BASE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-c", textwrap.dedent(script), *args]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_the_sdk_reads_back_what_it_wrote(clearml_conf: Path, tmp_path: Path, name: str) -> None:
    script = """
        import json, sys
        from pathlib import Path
        from clearml import Dataset, InputModel, OutputModel, Task

        name = sys.argv[1]
        task = Task.init(name, "first", auto_connect_frameworks=False,
                         auto_resource_monitoring=False, auto_connect_streams=False)
        task.connect({"rate": 0.1, "a.b": 1}, name="train")
        task.get_logger().report_scalar("loss", "val", 0.25, 3)
        task.upload_artifact("numbers", {"one": 1}, wait_on_upload=True)
        Path("weights.bin").write_bytes(b"weights")
        model = OutputModel(task, name="weights", framework="Keras")
        model.update_weights("weights.bin", upload_uri=sys.argv[2], auto_delete_file=False,
                             async_enable=False)
        model.set_metadata("size", "7", "int")
        Path("data").mkdir()
        for i in range(3):
            Path(f"data/{i}.txt").write_text(str(i))
        parent = Dataset.create(name, "pets", dataset_version="1.0.0")
        parent.add_files("data"); parent.upload(); parent.finalize()
        Path("data/3.txt").write_text("3"); Path("data/0.txt").unlink()
        child = Dataset.create(name, "pets", parent_datasets=[parent.id])
        child.sync_folder("data"); child.upload(); child.finalize()
        task.close()

        task, model = Task.get_task(task.id), InputModel(model.id)
        latest = Dataset.get(dataset_project="pets", dataset_name=name)
        print(json.dumps({
            "status": task.status,
            "parameters": task.get_parameters(),
            "metrics": task.get_last_scalar_metrics(),
            "artifact": task.artifacts["numbers"].get(),
            "model": [Path(model.get_local_copy()).read_bytes().decode(), model.framework,
                      model.get_metadata("size")],
            "latest": latest.id == child.id,
            "version": latest.version,
            "files": sorted(p.name for p in Path(latest.get_local_copy()).iterdir()),
            "parents": len(latest.get_dependency_graph()),
            "found": [t == task.id for t in Task.query_tasks(project_name=name, task_name="first")],
        }))
    """
    found = run_sdk(clearml_conf, tmp_path, script, name, Api(clearml_conf).files_url)
    assert found == {
        "status": "completed",
        "parameters": {"train/rate": "0.1", "train/a.b": "1"},
        "metrics": {"loss": {"val": {"last": 0.25, "min": 0.25, "max": 0.25}}},
        "artifact": {"one": 1},
        "model": ["weights", "Keras", "7"],
        "latest": True,
        "version": "1.0.1",
        "files": ["1.txt", "2.txt", "3.txt"],
        "parents": 2,
        "found": [True],
    }


# -- the in-memory server itself -------------------------------------------------------------------
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    conf = tmp_path / "clearml.conf"
    command = [sys.executable, "-m", "tests.clearml_server", "--conf", str(conf)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("api http://127.0.0.1:")
            queues = Api(conf)("queues.get_all")["queues"]
            assert [q["name"] for q in queues] == ["default"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_what_is_not_imitated_says_so() -> None:
    from tests.clearml_server import ClearMLServer

    with ClearMLServer() as server:
        request = urllib.request.Request(f"{server.api_url}/reports.create", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="500") as caught:
            urllib.request.urlopen(request, timeout=10)
        assert b"the in-memory server lacks it" in caught.value.read()


def test_connections_are_not_kept() -> None:
    """A forked process of the SDK would mix its requests with its parent's."""
    from tests.clearml_server import ClearMLServer

    with ClearMLServer() as server:
        for url in (server.api_url + "/no-such-page", server.files_url):
            host = url.split("/")[2]
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("GET", url.partition(host)[2] or "/")
            assert connection.getresponse().getheader("Connection") == "close"
