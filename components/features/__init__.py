"""The stage `features`: what a frozen backbone makes of each image, for all who train on it."""
