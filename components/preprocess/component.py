"""The step `preprocess`: from a raw dataset to a split, resized, packed one."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["dataset"],
    cache=True,
    task_type="data_processing",
    packages=shipping.requirements("preprocess"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def preprocess(raw, merge="", code="", fingerprint="", **parameters):
    """Split, resize and pack a raw dataset, or merge parts of that; returns the reference."""
    from functools import partial

    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step

    with step("preprocess", code) as code, storage.workspace() as folder:
        from components.imaging.artifact import dataset_artifact
        from components.imaging.dataset import TABLES
        from components.preprocess.build import build_dataset, pieces_of
        from components.preprocess.page import report
        from components.preprocess.parameters import Preprocess

        settings = parse(Preprocess, parameters, "preprocess")
        store = storage.store()
        pieces = pieces_of(settings, code)
        parts = [store.fetch(part) for part in merge.split(",")] if merge else []
        earlier = store.with_pieces(pieces)
        bring = partial(store.fetch, raw)
        build_dataset(bring(TABLES), folder, settings, earlier, parts, bring)
        artifact = dataset_artifact(folder, raw, report=report, pieces=pieces)
        return store.publish(folder, artifact)
