"""Where published datasets, models and evaluations live: a local folder or a ClearML server."""

PIPELINE = "pets"  # name of the pipeline on ClearML, below which it keeps the steps and models
