"""Stage 2: from a raw dataset to a split, resized and packed one."""
