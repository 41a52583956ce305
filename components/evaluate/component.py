"""The step `evaluate`: from a model and a dataset to a verdict and a report."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["evaluation"],
    cache=True,
    task_type="testing",
    packages=shipping.requirements("evaluate"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def evaluate(model, dataset, features="", champion="", fingerprint="", **parameters):
    """Score a model on the test images of a dataset; returns the reference of the evaluation."""
    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step
    from components.runtime.stores import Artifact

    with step("evaluate"), storage.workspace() as folder:
        from components.evaluate.evaluation import SHOWN, evaluate_model
        from components.evaluate.page import report
        from components.evaluate.parameters import Evaluate
        from components.networks.features import fetched

        settings = parse(Evaluate, parameters, "evaluate")
        champion = champion or ""  # an empty text comes as None from a server
        store = storage.store()
        in_use = store.fetch(champion) if champion else None
        known = list(fetched(store, features))
        metrics = evaluate_model(
            store.fetch(model), store.fetch(dataset), folder, settings, in_use, known
        )
        evaluation = store.publish(folder, Artifact("evaluation", shown=SHOWN, report=report))
        if settings.gate == "promote" and metrics["gate"]["verdict"] == "promote":
            store.champions.promote(model, champion, metrics["gate"]["reason"], evaluation)
        return evaluation
