"""Draws the pictures of phones, 200 x 200 pixels, from rounded rectangles: `python deploy/pictures.py`.

They are our own drawings, so no vendor has a right to them. The files are in config/pictures.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

SIDE: Final = 200
LINES: Final = 4
"""Lines of a row of pixels whose coverage is computed; the coverage along a line is exact."""
FOLDER: Final = Path(__file__).parent.parent / "config" / "pictures"

Colour = tuple[int, int, int]
DARK: Final[Colour] = (45, 52, 64)
BODY: Final[Colour] = (74, 84, 101)
LIGHT: Final[Colour] = (196, 204, 216)
WHITE: Final[Colour] = (240, 243, 247)
BLUE: Final[Colour] = (52, 120, 201)
SKY: Final[Colour] = (126, 179, 235)
GREEN: Final[Colour] = (58, 163, 104)
RED: Final[Colour] = (204, 72, 72)
SCREEN: Final[Colour] = (168, 184, 160)


class Box(NamedTuple):
    """A filled rectangle with round corners; a circle if the radius is half of its side."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    colour: Colour

    def span(self, y: float) -> tuple[float, float]:
        """Return the part of a horizontal line that is inside."""
        past = max(self.y + self.radius - y, y - (self.y + self.height - self.radius), 0.0)
        if not self.y <= y <= self.y + self.height or past > self.radius:
            return 0.0, 0.0
        inset = self.radius - (self.radius**2 - past**2) ** 0.5
        return self.x + inset, self.x + self.width - inset


def keys(x: float, y: float, columns: int, rows: int, colour: Colour = LIGHT) -> list[Box]:
    """Return a keypad."""
    return [
        Box(x + 17 * column, y + 14 * row, 13, 9, 3, colour)
        for row in range(rows)
        for column in range(columns)
    ]


def handset(x: float, y: float, height: float) -> list[Box]:
    """Return an upright handset: a bar with two ends."""
    ends = [Box(x, place, 34, 38, 12, DARK) for place in (y, y + height - 38)]
    return [Box(x + 3, y + 6, 22, height - 12, 10, DARK), *ends]


DRAWINGS: Final[Mapping[str, Sequence[Box]]] = {
    "desk-colour": [
        Box(14, 30, 172, 140, 16, BODY),
        *handset(24, 38, 124),
        Box(70, 42, 104, 62, 6, DARK),
        Box(75, 47, 94, 52, 3, BLUE),
        Box(79, 52, 40, 8, 3, WHITE),
        Box(79, 65, 30, 8, 3, SKY),
        Box(79, 78, 30, 8, 3, SKY),
        Box(133, 65, 30, 8, 3, SKY),
        Box(133, 78, 30, 8, 3, GREEN),
        *keys(72, 112, 3, 4),
        Box(134, 112, 36, 36, 18, LIGHT),
        Box(145, 123, 14, 14, 7, BODY),
    ],
    "desk-small": [
        Box(24, 36, 152, 130, 16, BODY),
        *handset(34, 44, 114),
        Box(82, 50, 82, 32, 5, DARK),
        Box(86, 54, 74, 24, 3, SCREEN),
        *keys(84, 94, 3, 4),
        *keys(146, 94, 1, 4, SKY),
    ],
    "dect-base": [
        Box(22, 70, 78, 104, 16, LIGHT),
        Box(32, 84, 58, 6, 3, WHITE),
        Box(54, 148, 14, 14, 7, GREEN),
        Box(118, 22, 60, 152, 18, DARK),
        Box(126, 34, 44, 46, 5, BLUE),
        Box(131, 40, 24, 6, 2, WHITE),
        *(Box(127 + 15 * column, 96 + 16 * row, 12, 9, 3, LIGHT) for row in range(4) for column in range(3)),
    ],
    "adapter": [
        Box(26, 62, 148, 84, 14, BODY),
        Box(40, 76, 120, 6, 3, DARK),
        *(Box(44 + 22 * place, 92, 10, 10, 5, colour) for place, colour in enumerate((GREEN, GREEN, SKY))),
        *(Box(46 + 40 * place, 114, 28, 22, 3, DARK) for place in range(3)),
        *(Box(52 + 40 * place, 120, 16, 10, 1, LIGHT) for place in range(3)),
    ],
    "softphone": [
        Box(24, 40, 152, 102, 10, DARK),
        Box(32, 48, 136, 86, 4, WHITE),
        Box(10, 146, 180, 14, 7, BODY),
        Box(82, 58, 36, 36, 18, SKY),
        Box(70, 100, 60, 6, 3, LIGHT),
        Box(72, 112, 24, 14, 7, GREEN),
        Box(104, 112, 24, 14, 7, RED),
    ],
    "generic": [
        Box(20, 20, 160, 160, 80, LIGHT),
        Box(83, 52, 26, 96, 12, DARK),
        Box(80, 44, 44, 38, 13, DARK),
        Box(80, 118, 44, 38, 13, DARK),
    ],
}
"""Name -> its shapes, the lowest first."""


def draw(boxes: Sequence[Box]) -> bytes:
    """Return the pixels, RGBA, each row after a zero octet as PNG wants it (no filter)."""
    image = [[(0.0, 0.0, 0.0, 0.0)] * SIDE for _ in range(SIDE)]
    for box in boxes:
        for row in range(max(0, int(box.y)), min(SIDE, int(box.y + box.height) + 1)):
            for column, cover in enumerate(_cover(box, row)):
                if cover:
                    image[row][column] = _over(image[row][column], box.colour, cover)
    return b"".join(b"\0" + bytes(channel for pixel in row for channel in _octets(pixel)) for row in image)


def _cover(box: Box, row: int) -> list[float]:
    """Return how much of each pixel of a row is inside the shape, 0 to 1."""
    cover = [0.0] * SIDE
    for line in range(LINES):
        start, end = box.span(row + (line + 0.5) / LINES)
        for column in range(max(0, int(start)), min(SIDE, int(end) + 1)):
            cover[column] += max(0.0, min(end, column + 1) - max(start, column)) / LINES
    return cover


def _over(
    below: tuple[float, float, float, float], colour: Colour, cover: float
) -> tuple[float, float, float, float]:
    """Return a pixel with a colour over it; its colours are multiplied by its opacity."""
    rest = 1 - cover
    red, green, blue = (
        channel * cover + under * rest for channel, under in zip(colour, below[:3], strict=True)
    )
    return red, green, blue, cover + below[3] * rest


def _octets(pixel: tuple[float, float, float, float]) -> tuple[int, ...]:
    opacity = pixel[3]
    plain = (round(channel / opacity) if opacity else 0 for channel in pixel[:3])
    return *plain, round(255 * opacity)


def png(pixels: bytes) -> bytes:
    """Return a PNG of these pixels."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


if __name__ == "__main__":
    for name, boxes in DRAWINGS.items():
        (FOLDER / f"{name}.png").write_bytes(png(draw(boxes)))
