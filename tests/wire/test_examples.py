"""The examples of the documents, run as they stand: only addresses and the data folder are other ones."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.process import CLEAN_ENVIRONMENT
from tests.peers.registrar import COMMAND
from tests.wire.need import need
from tests.wire.site import Site

pytestmark = pytest.mark.wire

ROOT: Final = Path(__file__).parent.parent.parent
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS: Final = 90
TRACE: Final = "set -euo pipefail\nPS4='+ '\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What `make run` would be, on other ports."""
    with Site(tmp_path_factory.mktemp("examples"), transports=("tcp", "tls", "wss")) as site:
        site.demo()
        yield site


def examples(page: str, section: str = "") -> str:
    """The shell blocks of a page, or of one of its sections, as one script."""
    text = (ROOT / page).read_text()
    if section:
        text = re.split(r"^## ", text.split(f"## {section}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = BLOCK.findall(text)
    assert blocks, f"{page} has no examples"
    return "".join(blocks)


def run(script: str, server: Site, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a user would in the checkout; what it writes goes to `folder`."""
    script = script.replace("http://127.0.0.1:8080", "http://{}:{}".format(*server.http))
    script = script.replace("127.0.0.1:5060", "{}:{}".format(*server.sip))
    script = script.replace(".venv/bin/registrar", str(COMMAND)).replace("deploy/", f"{ROOT}/deploy/")
    environment = CLEAN_ENVIRONMENT | server.environment | {"PATH": f"/usr/bin:/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", TRACE + script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_from_nothing_to_a_phone_that_is_online(server: Site, tmp_path: Path) -> None:
    need("curl", "sipp")
    done = run(examples("README.md", "A customer of your own, in curl"), server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"online":true' in done.stdout.replace(" ", "")
    assert '"summary":"Offline since' in done.stdout.replace('": "', '":"'), done.stdout


@pytest.mark.parametrize("page", ["docs/api.md", "docs/api-rows.md"])
def test_the_examples_of_a_page_work(server: Site, tmp_path: Path, page: str) -> None:
    need("curl")
    done = run(examples(page), server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
