"""Where published datasets, models and evaluations live: a local folder or a ClearML server."""

PIPELINE = "pets"  # name of the pipeline on ClearML
STEPS = "/.pipelines/"  # ClearML keeps a pipeline's runs, steps and models in a hidden project


def steps_project(project: str) -> str:
    """The hidden project below `project` with the pipeline's runs, their steps and models."""
    return f"{project}{STEPS}{PIPELINE}"
