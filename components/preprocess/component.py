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
def preprocess(raw, merge="", fingerprint="", **parameters):
    """Split, resize and pack a raw dataset, or merge parts of that; returns the reference."""
    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step

    with step("preprocess"), storage.workspace() as folder:
        from components.imaging.artifact import dataset_artifact
        from components.preprocess.build import build_dataset, merge_parts
        from components.preprocess.page import report
        from components.preprocess.parameters import Preprocess

        settings = parse(Preprocess, parameters, "preprocess")
        store = storage.store()
        if merge:
            merge_parts([store.fetch(part) for part in merge.split(",")], folder)
        else:
            build_dataset(store.fetch(raw), folder, settings)
        return store.publish(folder, dataset_artifact(folder, raw, report=report))
