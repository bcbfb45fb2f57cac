"""A reader of QR codes (ISO/IEC 18004) for pictures without damage: it corrects no errors.

It shares nothing with what draws them: from the SVG's path to modules, unmasked, to codewords, to text.
"""

import re
from collections.abc import Iterator
from typing import Final

QUIET: Final = 4
ALIGNMENTS: Final = {
    1: (), 2: (6, 18), 3: (6, 22), 4: (6, 26), 5: (6, 30), 6: (6, 34), 7: (6, 22, 38), 8: (6, 24, 42),
    9: (6, 26, 46), 10: (6, 28, 50),
}  # fmt: skip
"""Version -> the centres of its alignment patterns, annex E."""
BLOCKS: Final = {
    1: (16,), 2: (28,), 3: (44,), 4: (32, 32), 5: (43, 43), 6: (27,) * 4, 7: (31,) * 4, 8: (38, 38, 39, 39),
    9: (36, 36, 36, 37, 37), 10: (43, 43, 43, 43, 44),
}  # fmt: skip
"""Version -> the data codewords of its blocks at level M, table 9."""
LEVEL_M: Final = 0
FORMAT_MASK: Final = 0b101010000010010
BYTES: Final = 0b0100
MASKS: Final = (
    lambda y, x: (y + x) % 2 == 0,
    lambda y, x: y % 2 == 0,
    lambda y, x: x % 3 == 0,
    lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0,
    lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
)
Modules = list[list[bool]]


def read_qr(svg: str) -> str:
    """The text in a picture of a code of level M."""
    modules = _modules(svg)
    size = len(modules)
    version = (size - 17) // 4
    format = _number(modules[8][x] for x in (0, 1, 2, 3, 4, 5, 7, 8)) << 7
    format |= _number(modules[y][8] for y in (7, 5, 4, 3, 2, 1, 0))
    format ^= FORMAT_MASK
    assert format >> 13 == LEVEL_M
    mask = MASKS[format >> 10 & 0b111]
    bits = "".join(str(int(modules[y][x] ^ mask(y, x))) for y, x in _places(version, size))
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8)]
    return _text("".join(f"{word:08b}" for word in _data(words, BLOCKS[version])), 16 if version > 9 else 8)


def _modules(svg: str) -> Modules:
    """The dark modules: segno draws each row as strokes of one module's height."""
    (size,) = re.findall(r'viewBox="0 0 (\d+) \1"', svg)
    (path,) = re.findall(r'stroke="#000" d="([^"]+)"', svg)
    modules = [[False] * int(size) for _ in range(int(size))]
    x, y = 0, 0.0
    for command, numbers in re.findall(r"([Mmh])([^Mmh]*)", path):
        values = [float(one) for one in numbers.replace("-", " -").split()]
        if command == "h":
            for at in range(x, x + int(values[0])):
                modules[int(y)][at] = True
            x += int(values[0])
        else:
            x, y = int(values[0]) + (x if command == "m" else 0), values[1] + (y if command == "m" else 0)
    assert not any(map(any, modules[:QUIET])), "the margin is empty"
    return [row[QUIET:-QUIET] for row in modules[QUIET:-QUIET]]


def _places(version: int, size: int) -> Iterator[tuple[int, int]]:
    """The data modules in their order: two columns at a time, up and down, from the right."""
    fixed = _fixed(version, size)
    upwards = True
    for right in (x for x in range(size - 1, 0, -2)):
        column = right if right > 6 else right - 1
        for y in range(size - 1, -1, -1) if upwards else range(size):
            for x in (column, column - 1):
                if (y, x) not in fixed:
                    yield y, x
        upwards = not upwards


def _fixed(version: int, size: int) -> set[tuple[int, int]]:
    """The modules that hold no data: finders, timing, alignment, format and version."""
    fixed = {(y, x) for y in range(9) for x in range(9)}
    fixed |= {(y, x) for y in range(9) for x in range(size - 8, size)}
    fixed |= {(y, x) for y in range(size - 8, size) for x in range(9)}
    fixed |= {(6, at) for at in range(size)} | {(at, 6) for at in range(size)}
    centres = ALIGNMENTS[version]
    corners = {(6, 6), (6, centres[-1]), (centres[-1], 6)} if centres else set()
    for cy, cx in ((cy, cx) for cy in centres for cx in centres if (cy, cx) not in corners):
        fixed |= {(cy + y, cx + x) for y in range(-2, 3) for x in range(-2, 3)}
    if version >= 7:
        fixed |= {(y, x) for y in range(6) for x in range(size - 11, size - 8)}
        fixed |= {(x, y) for y in range(6) for x in range(size - 11, size - 8)}
    return fixed


def _data(words: list[int], blocks: tuple[int, ...]) -> Iterator[int]:
    """The data codewords, which lie between those of the other blocks."""
    parts: list[list[int]] = [[] for _ in blocks]
    following = iter(words)
    for at in range(max(blocks)):
        for part, length in zip(parts, blocks, strict=True):
            if at < length:
                part.append(next(following))
    for part in parts:
        yield from part


def _text(bits: str, counter: int) -> str:
    assert int(bits[:4], 2) == BYTES
    length = int(bits[4 : 4 + counter], 2)
    octets = bits[4 + counter : 4 + counter + 8 * length]
    return bytes(int(octets[at : at + 8], 2) for at in range(0, len(octets), 8)).decode()


def _number(bits: Iterator[bool]) -> int:
    return int("".join(str(int(bit)) for bit in bits), 2)
