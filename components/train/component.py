"""The step `train`: from a dataset to a trained classifier."""

from clearml import PipelineDecorator

from components import shipping


@PipelineDecorator.component(
    return_values=["model"],
    cache=True,
    task_type="training",
    packages=shipping.requirements("train"),
    repo=shipping.repository(),
    auto_connect_frameworks=False,
)
def train(dataset, fingerprint="", **parameters):
    """Train a classifier on a dataset; returns the reference of the model."""
    import shutil

    from components import storage
    from components.schema import parse
    from components.step import step
    from components.train.checkpoints import training_key
    from components.train.fit import train_classifier
    from components.train.parameters import Train
    from components.train.weights import find_weights

    with step("train"), storage.workspace() as folder:
        settings = parse(Train, parameters, "train")
        store = storage.store()
        # An interrupted attempt goes on from here.
        checkpoints = store.checkpoints(training_key(fingerprint, dataset, parameters))
        train_classifier(
            store.fetch(dataset),
            folder,
            settings,
            store.report_epoch,
            checkpoints,
            find=lambda weights: find_weights(weights, store.fetch_weights),
        )
        model = store.publish_model(folder, dataset)
        shutil.rmtree(checkpoints, ignore_errors=True)
        return model
