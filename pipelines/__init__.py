"""The pipeline and the commands around it."""

import sys
from importlib.util import find_spec

for _package in ("hydra", "clearml"):  # what is needed later tells it later, in the same words
    if find_spec(_package) is None:
        _remedy = "run make install, then source .venv/bin/activate"
        print(f"error: {_package} is not installed here; {_remedy}", file=sys.stderr)
        sys.exit(2)
