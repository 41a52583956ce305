"""The stages of the pipeline, one folder each, and the modules that they share."""
