"""registrar/store/snapshot_codec.py: what is stored is read again, whatever a phone wrote into it."""

from hypothesis import given
from hypothesis import strategies as st

from registrar.model import AcceptedNonce, Binding, Refusal, Snapshot
from registrar.store.snapshot_codec import EMPTY, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBER = st.integers(0, 2**53)
SNAPSHOTS = st.builds(
    Snapshot,
    NUMBER,
    st.lists(
        st.builds(Binding, *[TEXT, NUMBER, TEXT, NUMBER, TEXT, TEXT, NUMBER, TEXT], public_port=NUMBER)
    ).map(tuple),
    st.lists(st.builds(AcceptedNonce, NUMBER, TEXT, NUMBER)).map(tuple),
    st.lists(st.builds(Refusal, TEXT, TEXT, NUMBER, NUMBER)).map(tuple),
)


@given(snapshot=SNAPSHOTS)
def test_what_is_stored_is_read_again(snapshot: Snapshot) -> None:
    stored = encode(snapshot)
    assert decode(stored) == snapshot
    assert all(part.isascii() for part in stored)


def test_nothing_is_stored_as_nothing() -> None:
    assert decode(EMPTY) == Snapshot()
    assert encode(Snapshot(5))[1:] == (b"", b"", b"")
