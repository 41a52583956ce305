"""The step `features`: from a dataset to the features of its images."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["features"],
    cache=True,
    task_type="data_processing",
    packages=shipping.requirements("features"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def features(dataset, fingerprint="", code="", **parameters):
    """Compute the features of a dataset's images; returns the reference of the features."""
    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step

    with step("features", code) as code, storage.workspace() as folder:
        from components.features.build import build_features
        from components.features.page import report
        from components.features.parameters import Features

        settings = parse(Features, parameters, "train")
        store = storage.store()
        artifact = build_features(store, store.fetch(dataset), folder, settings, code, report)
        return store.publish(folder, artifact)
