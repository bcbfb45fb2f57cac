"""handlers/calls/counting.py: the counts are those of the calls that exist."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from registrar.handlers.calls.counting import BELIEVED_SECONDS, LEAST_REPORTED, CallCounts
from registrar.model import NO_PROCESS, Call, CallState, Epoch, Party
from registrar.rules.quotas import names_of

NOW = Epoch(1_000.0)


def call(id: str, phone: str = "p1", callee: str = "e2", *, answered_by: str = "") -> Call:
    state = CallState.ANSWERED if answered_by else CallState.RINGING
    caller, called = Party(phone, "200", "", person="e1"), Party(answered_by, "201", "", person=callee)
    return Call(id, id, "c1", "acme.test", caller, called, state, NOW, process=NO_PROCESS)


def test_a_call_that_was_answered_rings_no_more() -> None:
    counts = CallCounts()
    counts.put(call("a"))
    counts.put(call("b"))
    assert (counts.count("r:p1", NOW), counts.count("p:p1", NOW), counts.count("p:p2", NOW)) == (2, 2, 0)
    counts.put(call("a", answered_by="p2"))
    assert (counts.count("r:p1", NOW), counts.count("p:p1", NOW), counts.count("p:p2", NOW)) == (1, 2, 1)


def test_a_call_that_is_over_gives_its_places_back() -> None:
    counts = CallCounts()
    counts.put(call("a"))
    counts.remove("a")
    counts.remove("a")
    assert counts.count("c:c1", NOW) == 0 and counts.report() == {}


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["begin", "answer", "end", "moved"])), max_size=40
)


@given(STEPS)
def test_whatever_happens_the_counts_are_those_of_the_calls(steps: list[tuple[str, str]]) -> None:
    counts, calls = CallCounts(), dict[str, Call]()
    for id, what in steps:
        if what == "end":
            calls.pop(id, None)
            counts.remove(id)
            continue
        calls[id] = call(id, answered_by="p2" if what == "answer" else "")
        if what == "moved":
            calls[id] = replace(calls[id], caller=replace(calls[id].caller, person="e9"))
        counts.put(calls[id])
    right = Counter(name for one in calls.values() for name in names_of(one))
    assert {name: counts.count(name, NOW) for name in right} == right
    assert counts.report() == {name: count for name, count in right.items() if count >= LEAST_REPORTED}


def test_calls_of_other_nodes_count_until_they_fall_silent() -> None:
    counts = CallCounts()
    counts.put(call("a"))
    counts.heard("b 1", {"c:c1": 5}, NOW)
    counts.heard("c 1", {"c:c1": 7}, NOW)
    counts.heard("b 1", {"c:c1": 4}, Epoch(NOW + 2))
    assert counts.count("c:c1", Epoch(NOW + 2)) == 1 + 4 + 7
    assert counts.count("c:c1", Epoch(NOW + BELIEVED_SECONDS + 1)) == 1 + 4
    assert counts.count("c:c1", Epoch(NOW + BELIEVED_SECONDS + 3)) == 1
