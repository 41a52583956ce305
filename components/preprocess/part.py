"""The step `preprocess_part`: a share of `preprocess`, beside others at the same time."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["part"],
    cache=True,
    task_type="data_processing",
    packages=shipping.requirements("preprocess"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def preprocess_part(raw, part, code="", fingerprint="", **parameters):
    """Process share number `part` of a raw dataset, from 0; returns the reference of the part."""
    from functools import partial

    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step
    from components.runtime.stores import Artifact

    with step("preprocess", code) as code, storage.workspace() as folder:
        from components.imaging.dataset import TABLES
        from components.preprocess.build import build_part, pieces_of
        from components.preprocess.parameters import Preprocess

        settings = parse(Preprocess, parameters, "preprocess")
        store = storage.store()
        earlier = store.with_pieces(pieces_of(settings, code), TABLES)
        bring = partial(store.fetch, raw)
        which = int(part), settings.parts
        build_part(bring(TABLES), folder, settings, *which, earlier, bring)
        return store.publish(folder, Artifact(kind="part"))
