"""`ingest=names`: the label is in the file's name, such as `cat.0.jpg` or `Abyssinian_12.jpg`."""

from __future__ import annotations

from components.ingest.layout import labels_in_names
from components.ingest.sources.kind import Kind, Labelled, Source, with_labels


class Names(Kind):
    """A folder or an archive, whose folders tell nothing but splits."""

    own = ("pattern", "alike")

    def label(self, source: Source) -> Labelled:
        """By the names, with the pattern if there is one."""
        paths = (file.path for file in source.files if not file.problem)
        found = labels_in_names(paths, self.asked, self.settings.pattern, self.settings.alike)
        return with_labels(source, found, "no label in its name")
