"""A model in the formats that others use, with its card and a folder for ClearML Serving."""
