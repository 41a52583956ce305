"""The wiring: configuration, cache and the ways to run the four stages."""
