"""The commands by one name: `pets ingest.path=photos` trains, `pets predict` predicts."""

from __future__ import annotations

import runpy
import sys

COMMANDS = {
    name.partition("_")[0]: name
    for name in ("champion", "export", "optimize", "outputs", "predict", "retrain_on_new_data")
}


def main() -> None:
    """Run the script of the command, as if it were started itself."""
    name = COMMANDS.get("".join(sys.argv[1:2]), "pets_pipeline")
    if name != "pets_pipeline":
        del sys.argv[1]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
