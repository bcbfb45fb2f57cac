"""The wheel in a virtual environment without the source tree: it serves the page at /phone."""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, Process
from tests.peers.registrar import DIRECT
from tests.wire.need import need_page

pytestmark = pytest.mark.wire

ROOT: Final = Path(__file__).parent.parent.parent
SECONDS: Final = 120
READY_SECONDS: Final = 60.0
FILES: Final = ("page.js", "style.css", "licences.txt")
PATHS: Final = (
    "/",
    "/phone",
    "/base.css",
    *(f"/{page}/{name}" for page in ("board", "phone") for name in FILES),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel in it.

    What the wheel depends on is our own environment's, by a .pth file: Python reads no .pth files of a folder
    that a .pth file names, so the editable install of the source tree is not there.
    """
    need_page()
    folder = tmp_path_factory.mktemp("wheel")
    empty = folder / "empty"
    run(ROOT, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist"))
    run(folder, sys.executable, "-m", "venv", "--without-pip", str(empty))
    (wheel,) = (folder / "dist").glob("*.whl")
    python = empty / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python))
    run(folder, *pip, "install", "--no-deps", "--no-index", str(wheel))
    site = run(folder, str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where = run(
        folder, str(python), "-c", "import registrar, config; print(registrar.__file__, config.__file__)"
    )
    assert all(path.startswith(site) for path in where.split()), where
    return empty / "bin"


def run(folder: Path, *argv: str) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """Where the installed program answers."""
    http = f"127.0.0.1:{free_port()}"
    listeners = {"SIP_UDP": f"127.0.0.1:{free_port()}", "SIP_TCP": "", "SIP_TLS": "", "SIP_WSS": ""}
    settings = {"HTTP": http, "DATA_DIR": str(tmp_path / "data"), **listeners}
    environment = CLEAN_ENVIRONMENT | {f"REGISTRAR_{name}": value for name, value in settings.items()}
    program = Process("registrar", [str(installed / "registrar"), "serve"], tmp_path, environment=environment)
    with program:
        program.wait_ready(lambda: "First steps" in program.out.read_text(), READY_SECONDS)
        yield f"http://{http}"


def test_the_wheel_serves_the_pages(served: str) -> None:
    pages = {path: fetch(f"{served}{path}") for path in PATHS}
    assert {path: status for path, (status, _) in pages.items()} == dict.fromkeys(PATHS, 200)
    assert b'<script src="/phone/page.js" defer>' in pages["/phone"][1]
    assert b'<script src="/board/page.js" defer>' in pages["/"][1]
    for page in ("board", "phone"):
        assert pages[f"/{page}/page.js"][1] == (ROOT / f"config/{page}/built/page.js").read_bytes()


def test_the_wheel_knows_its_version(served: str) -> None:
    status, body = fetch(f"{served}/openapi.json")
    assert status == 200
    assert b'"version":"0.1.0"' in body


def fetch(url: str) -> tuple[int, bytes]:
    with DIRECT.open(url, timeout=READY_SECONDS) as answer:
        return answer.status, answer.read()
