"""The example configuration for agents: the agent reads it, knows its keys, and finds no secret."""

from __future__ import annotations

import re
from pathlib import Path

import clearml_agent
import pytest
from clearml_agent.external.pyhocon import ConfigFactory

from pipelines.dag import PETS
from pipelines.engine.parameters import run_defaults

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "agent.conf.example"
DEFAULTS = Path(clearml_agent.__file__).parent / "backend_api" / "config" / "default"


def keys(tree: dict, prefix: str = "") -> set[str]:
    """Every dotted key of a configuration."""
    found = set()
    for key, value in tree.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("section", ["agent", "api", "sdk"])
def test_the_agent_knows_every_key(section: str) -> None:
    example = ConfigFactory.parse_file(EXAMPLE)
    path = DEFAULTS / f"{section}.conf"
    known = keys(ConfigFactory.parse_file(path)) if path.exists() else set()
    known |= {
        "api_server",
        "web_server",
        "files_server",
        "credentials.access_key",
        "credentials.secret_key",
        "worker_name",
        "git_user",
        "git_pass",
        "default_docker.arguments",
        "venvs_cache.path",  # commented out in the agent's defaults, as no cache is
        "development.report_use_subprocess",
    }
    assert keys(example[section]) <= known


def test_there_is_no_secret_in_it() -> None:
    example = ConfigFactory.parse_file(EXAMPLE)
    for key in ("access_key", "secret_key"):
        assert re.fullmatch("<.*>", example[f"api.credentials.{key}"])
    assert example["agent.git_pass"] == ""


def test_its_agents_serve_the_queues_of_the_configuration() -> None:
    text = EXAMPLE.read_text()
    queues = run_defaults(PETS.stages)["queues"]
    started = set(re.findall(r"clearml-agent daemon .*--queue (\w+)", text))
    assert started == set(queues.values())
