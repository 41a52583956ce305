"""Stage 1: from a folder, archive or address to a raw dataset whose every file has a verdict."""
