"""A hook of hatchling: no wheel and no source archive leaves without the page at /phone.

The repository does not hold the built page: `make page` makes it, from npm. An editable install (`make run`)
works before that, and shows the page once it is there.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("config/phone")
BUILT = ("page.js", "licences.txt")


class BuiltPage(BuildHookInterface):
    """Ends the build when the page is missing, or older than what it is made from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Look before anything is packed. Raises FileNotFoundError."""
        if version == "editable":
            return
        folder = Path(self.root) / FOLDER
        made = [folder / "built" / name for name in BUILT]
        if not all(path.is_file() for path in made):
            raise FileNotFoundError(f"{FOLDER}/built: the page at /phone is not built; run `make page` first")
        sources = [folder / "package-lock.json", *(folder / "page").glob("*.js")]
        if made[0].stat().st_mtime < max(path.stat().st_mtime for path in sources):
            raise FileNotFoundError(
                f"{FOLDER}/built: the page at /phone is older than its source; run `make page` first"
            )
