"""Drives a table of stages on ClearML: parameters, fingerprints, steps, modes and commands."""
