"""QR codes as SVG, black on white in any theme: readers want dark modules on a light ground."""

from io import BytesIO
from typing import Final

import segno

QUIET_MODULES: Final = 4
"""The empty margin that a reader needs (ISO/IEC 18004 section 9.1)."""


def svg(text: str) -> str:
    """Return a picture of the text without a size of its own: `viewBox` counts modules."""
    code = segno.make_qr(text, error="m", boost_error=False)
    drawn = BytesIO()
    code.save(
        drawn,
        kind="svg",
        border=QUIET_MODULES,
        dark="#000",
        light="#fff",
        omitsize=True,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return drawn.getvalue().decode()
