"""A client that openapi-python-client generates from a running server, in an environment of its own.

Run as a program with that environment's Python, it makes the calls that standard input names.
"""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ENVIRONMENT: Final = Path(__file__).parent.parent.parent / ".venv" / "client"
GENERATOR: Final = ENVIRONMENT / "bin" / "openapi-python-client"
SECONDS: Final = 120
PACKAGE: Final = "generated_client"
BINARY: Final = {"image/png": "application/octet-stream"}
"""What the generator takes for octets: it knows few media types."""


@dataclass(frozen=True)
class Call:
    """One operation, by its tag and id; the body by the name of its model."""

    tag: str
    operation: str
    arguments: dict[str, str]
    model: str
    body: dict[str, Any]


def is_there() -> bool:
    """Whether the environment of the generator was made (make client)."""
    return GENERATOR.exists()


def generate(url: str, folder: Path) -> str:
    """Generate the package into `folder`. Answers what the generator said; it fails on any warning."""
    config = folder / "generator.json"
    options = {"post_hooks": [], "package_name_override": PACKAGE, "content_type_overrides": BINARY}
    config.write_text(json.dumps(options))
    arguments = ["--meta", "none", "--fail-on-warning", "--config", str(config)]
    done = subprocess.run(
        [
            str(GENERATOR),
            "generate",
            *("--url", f"{url}/openapi.json"),
            *arguments,
            *("--output-path", str(folder / PACKAGE)),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said: str = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def send(url: str, token: str, folder: Path, calls: Sequence[Call]) -> list[int]:
    """Make the calls with the generated package. Answers their statuses."""
    asked = {"url": url, "token": token, "calls": [asdict(call) for call in calls]}
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", __file__],
        input=json.dumps(asked),
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    statuses: list[int] = json.loads(done.stdout)
    return statuses


def _main() -> None:
    asked = json.load(sys.stdin)
    client = importlib.import_module(f"{PACKAGE}.client").AuthenticatedClient(
        base_url=asked["url"], token=asked["token"], httpx_args={"trust_env": False}
    )
    models = importlib.import_module(f"{PACKAGE}.models")
    statuses = []
    for call in asked["calls"]:
        operation = importlib.import_module(f"{PACKAGE}.api.{call['tag']}.{call['operation']}")
        body = getattr(models, call["model"])(**{_snake(name): value for name, value in call["body"].items()})
        answer = operation.sync_detailed(**call["arguments"], client=client, body=body)
        statuses.append(int(answer.status_code))
    json.dump(statuses, sys.stdout)


def _snake(name: str) -> str:
    """What the generator calls a property."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    _main()
