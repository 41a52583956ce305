"""What the tests share: the extra data, and a ClearML server to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--clearml-conf",
        type=Path,
        help="clearml.conf of a real server for the end-to-end tests (default: the test server)",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos and weights beside the checkout, which are never committed."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real photos in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def clearml_conf(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A clearml.conf with credentials: of `--clearml-conf`, or of an in-memory server."""
    given = request.config.getoption("--clearml-conf")
    if given:
        yield given.resolve()
        return
    from tests.clearml_server import ClearMLServer

    with ClearMLServer() as server:
        path = tmp_path_factory.mktemp("clearml") / "clearml.conf"
        server.write_conf(path)
        yield path
