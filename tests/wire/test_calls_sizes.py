"""What we add to a message fits into the packet that it came in: see `tests/wire/sizes.py`."""

import pytest

from tests.wire.callers import Callers
from tests.wire.sizes import KINDS, LONGEST_URI, MOST, SMALL, Kind, longest, measure

pytestmark = pytest.mark.wire


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
async def test_what_leaves_fits_into_a_packet(callers: Callers, kind: Kind) -> None:
    found = await measure(callers, kind)
    assert found.invite.came - kind.contact <= SMALL, "else there is nothing to be shown"
    # Whoever has a long Contact is called by it: that is in whatever goes to it.
    sizes = found.sizes[:4] if kind.contact else found.sizes
    assert [one for one in sizes if one.left > MOST] == []
    assert longest(found) <= LONGEST_URI
