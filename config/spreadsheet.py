"""Lines of CSV that a spreadsheet shows as text, and never runs."""

import csv
import io
from collections.abc import Sequence
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV injection)."""
MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"


def csv_line(values: Sequence[str | None]) -> str:
    """Return a CSV line (RFC 4180); None is an empty cell, and an apostrophe marks a formula as text."""
    line = io.StringIO()
    cells = (f"'{value}" if value is not None and value.startswith(FORMULA) else value for value in values)
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # csv quotes the characters of its lineterminator
    return line.getvalue().removesuffix("\r\n")
