"""registrar/store/announce.py: what is said of a change is what is heard of it."""

from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Change
from registrar.store.announce import MAX_IDS, decode, encode, from_rows, to_rows
from tests.every import every

IDS = st.text("0123456789abcdef", min_size=24, max_size=24)


@given(phones=st.lists(IDS, max_size=5).map(tuple), customer=st.just("") | IDS, dialled=st.just("") | IDS)
def test_what_is_said_is_heard(phones: tuple[str, ...], customer: str, dialled: str) -> None:
    heard = [decode(message) for message in encode(Change(phones, customer, dial_plan=dialled))]
    assert tuple(phone for change in heard for phone in change.phones) == phones
    assert [change.customer for change in heard if change.customer] == ([customer] if customer else [])
    assert [change.dial_plan for change in heard if change.dial_plan] == ([dialled] if dialled else [])


def test_a_long_list_is_said_in_parts() -> None:
    phones = tuple(str(number) for number in range(2 * MAX_IDS + 1))
    messages = encode(Change(phones))
    assert len(messages) == 3
    assert tuple(phone for message in messages for phone in decode(message).phones) == phones


def test_the_rows_of_a_change_tell_the_same_as_its_messages() -> None:
    change = Change(("p1", "u7"), "c1", everybody=True, dial_plan="c2")
    rows = to_rows(change)
    assert rows == [
        ("phone", "p1"),
        ("phone", "u7"),
        ("customer", "c1"),
        ("dialplan", "c2"),
        ("everybody", ""),
    ]
    told = from_rows([*rows, *rows])
    assert told == [
        Change(("p1", "u7")),
        Change(customer="c1"),
        Change(dial_plan="c2"),
        Change(everybody=True),
    ]


def test_rows_that_were_announced_are_named_after_their_changes() -> None:
    messages = encode(Change(("p1",), rows=(7, 9)))
    assert messages == ["phone p1", "rows 7 9"]
    assert decode(messages[1]) == Change(rows=(7, 9))
    assert decode(f"rows 8 -1 x {'9' * 5_000}") == Change(rows=(8,))


@every("message", ["", " ", "customer", "customer a b", "rows", "dialplan", "dialplan a b", "other x", "\n"])
def test_other_words_change_nothing(message: str) -> None:
    assert decode(message) == Change()


@given(message=st.text(max_size=60))
def test_any_text_is_a_change(message: str) -> None:
    assert isinstance(decode(message), Change)
