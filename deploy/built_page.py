"""A hook of hatchling: no wheel and no source archive leaves without the pages at / and /phone.

The repository does not hold the built pages: `make page` makes them, from npm. An editable install
(`make run`) works before that, and shows the pages once they are there.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = {"/": Path("config/board"), "/phone": Path("config/phone")}
BUILT = ("page.js", "licences.txt")


class BuiltPage(BuildHookInterface):
    """Ends the build when a page is missing, or older than what it is made from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Look before anything is packed. Raises FileNotFoundError."""
        if version == "editable":
            return
        for url, folder in PAGES.items():
            problem = problem_of(Path(self.root) / folder)
            if problem:
                raise FileNotFoundError(
                    f"{folder}/built: the page at {url} is {problem}; run `make page` first"
                )


def problem_of(folder: Path) -> str:
    """Return why the page in this folder cannot be packed, or an empty text."""
    made = [folder / "built" / name for name in BUILT]
    if not all(path.is_file() for path in made):
        return "not built"
    sources = [folder / "package-lock.json", *(folder / "page").glob("*.js")]
    is_old = made[0].stat().st_mtime < max(path.stat().st_mtime for path in sources)
    return "older than its source" if is_old else ""
