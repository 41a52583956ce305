"""Where published datasets, models and evaluations live: a local folder or a ClearML server."""
