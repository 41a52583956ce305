"""The pipeline and the commands around it."""

import sys
from importlib.util import find_spec

from components.runtime.schema import INSTALL

if not find_spec("hydra"):  # of other packages, the commands tell in the same words
    print(f"error: hydra is not installed here; {INSTALL}", file=sys.stderr)
    raise SystemExit(2)
