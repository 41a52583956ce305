"""The step `ingest`: from a source of photos to an audited raw dataset."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["raw"],
    cache=True,
    task_type="data_processing",
    packages=shipping.requirements("ingest"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def ingest(code="", fingerprint="", **parameters):
    """Audit the photos of a source; returns the reference of the raw dataset."""
    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step

    with step("ingest", code) as code, storage.workspace() as folder:
        from components.imaging.artifact import dataset_artifact
        from components.ingest.audit import build_raw_dataset, pieces_of
        from components.ingest.page import report
        from components.ingest.parameters import Ingest

        settings = parse(Ingest, parameters, "ingest")
        store = storage.store()
        pack = not storage.is_local()  # other machines need the files themselves
        pieces = pieces_of(settings, code)
        build_raw_dataset(
            settings,
            folder,
            resolve=store.resolve_dataset,
            pack=pack,
            earlier=store.with_pieces(pieces),
            scratch=store.scratch,
        )
        artifact = dataset_artifact(folder, None, report=report, pieces=pieces)
        return store.publish(folder, artifact)
