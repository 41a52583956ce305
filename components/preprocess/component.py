"""The step `preprocess`: from a raw dataset to a split, resized, packed one."""

from clearml import PipelineDecorator

from components import shipping


@PipelineDecorator.component(
    return_values=["dataset"],
    cache=True,
    task_type="data_processing",
    packages=shipping.requirements("preprocess"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def preprocess(raw, fingerprint="", **parameters):
    """Split, resize and pack a raw dataset; returns the reference of the dataset."""
    from components import storage
    from components.preprocess.build import build_dataset
    from components.preprocess.parameters import Preprocess
    from components.schema import parse
    from components.step import step

    with step("preprocess"), storage.workspace() as folder:
        settings = parse(Preprocess, parameters, "preprocess")
        store = storage.store()
        build_dataset(store.fetch(raw), folder, settings)
        return store.publish_dataset(folder, parent=raw)
