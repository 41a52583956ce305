"""The step `train`: from a dataset to a trained classifier."""

from clearml import PipelineDecorator

from components.runtime import shipping


@PipelineDecorator.component(
    return_values=["model"],
    cache=True,
    task_type="training",
    packages=shipping.requirements("train"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def train(dataset, features="", fingerprint="", **parameters):
    """Train a classifier on a dataset; returns the reference of the model."""
    from components.runtime import storage
    from components.runtime.schema import parse
    from components.runtime.step import step

    with step("train"), storage.workspace() as folder:
        from components.networks.features import fetched
        from components.networks.weights import find_weights
        from components.train.artifact import model_artifact
        from components.train.checkpoints import complete_epochs, training_key
        from components.train.fit import train_classifier
        from components.train.page import report_figures
        from components.train.parameters import Train

        settings = parse(Train, parameters, "train")
        store = storage.store()
        key = training_key(fingerprint, dataset, parameters)
        with store.attempt(key, complete_epochs) as attempt:

            def on_epoch(epoch, metrics):
                store.report_epoch(epoch, metrics)
                attempt.saved()

            train_classifier(
                store.fetch(dataset),
                folder,
                settings,
                on_epoch,
                attempt.folder,  # an interrupted attempt goes on from here
                find=lambda weights: find_weights(weights, store.fetch_weights),
                features=fetched(store, features),
            )
            model = store.publish(folder, model_artifact(folder, dataset, report_figures))
            attempt.succeeded()
        return model
