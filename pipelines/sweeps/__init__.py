"""Many runs that are compared: the trials of a sweep, and of an optimization."""
