"""registrar/rules/quotas.py: what counts for whom, and when operators are told."""

from dataclasses import replace

import pytest

from registrar.model import (
    NO_PROCESS,
    Call,
    CallState,
    Destination,
    Devices,
    Epoch,
    Group,
    Party,
    Phone,
    Queue,
    Terms,
)
from registrar.rules.quotas import (
    MAX_TOLD,
    Alarms,
    Quota,
    Quotas,
    at_once,
    callee_rate,
    names_of,
    rates,
    size_of,
)

from .words import PHONE

CALLER = replace(PHONE, id="p1", customer="c1", person="e1", extension="200")
BOB = Devices("201", "Bob", person="e2")
SALES = Group("g1", "300", "Sales", ())


def mosts(measured: object) -> dict[Quota, int]:
    assert isinstance(measured, list)
    return {quota: most for quota, _, most in measured}


def test_a_call_counts_for_its_parties_and_its_customer() -> None:
    call = Call(
        "x", "id", "c1", "acme.test", Party("p1", "200", "", person="e1"), Party("", "201", "", person="e2"),
        CallState.RINGING, Epoch(0.0), process=NO_PROCESS,
    )  # fmt: skip
    assert names_of(call) == {"p:p1", "r:p1", "c:c1", "e:e1", "e:e2"}
    answered = replace(call, state=CallState.ANSWERED, callee=replace(call.callee, phone="p2"), via="300")
    assert names_of(answered) == {"p:p1", "p:p2", "c:c1", "e:e1", "e:e2", "d:c1:300"}


@pytest.mark.parametrize(
    ("called", "more"),
    [
        pytest.param(BOB, [Quota.EXTENSION_CALLS, Quota.EXTENSION_CALLS], id="a person"),
        pytest.param(SALES, [Quota.EXTENSION_CALLS, Quota.CALLEE_CALLS], id="a group"),
        pytest.param(Queue("q", "400", "Q", ()), [Quota.EXTENSION_CALLS, Quota.CALLEE_CALLS], id="a queue"),
        pytest.param(Devices("", ""), [Quota.EXTENSION_CALLS], id="a device without an extension"),
    ],
)
def test_one_more_call_counts_in_these_quotas(called: Destination, more: list[Quota]) -> None:
    always = [Quota.PHONE_CALLS, Quota.PHONE_RINGING, Quota.CUSTOMER_CALLS]
    assert [quota for quota, *_ in at_once(Quotas(), CALLER, called)] == [*always, *more]


def test_a_call_to_oneself_counts_once() -> None:
    own = Devices("200", "Ann", person="e1")
    assert [name for _, name, _ in at_once(Quotas(), CALLER, own)].count("e:e1") == 1


def test_a_customer_has_quotas_of_its_own() -> None:
    terms = Terms(calls=0, call_rate=7, phone_calls=8, extension_calls=9)
    caller: Phone = replace(CALLER, terms=terms)
    own = mosts(at_once(Quotas(), caller, BOB))
    assert (own[Quota.CUSTOMER_CALLS], own[Quota.PHONE_CALLS], own[Quota.EXTENSION_CALLS]) == (0, 8, 9)
    assert own[Quota.PHONE_RINGING] == Quotas().phone_ringing
    assert mosts(rates(Quotas(), caller)) == {
        Quota.PHONE_RATE: 10,
        Quota.EXTENSION_RATE: 20,
        Quota.CUSTOMER_RATE: 7,
    }


def test_who_has_no_extension_has_no_quota_of_one() -> None:
    bare = replace(CALLER, person="")
    assert [quota for quota, *_ in rates(Quotas(), bare)] == [Quota.PHONE_RATE, Quota.CUSTOMER_RATE]
    assert callee_rate(Quotas(), bare, Devices("", "")) is None
    to_bob, to_sales = callee_rate(Quotas(), bare, BOB), callee_rate(Quotas(), bare, SALES)
    assert to_bob is not None and to_sales is not None
    assert (to_bob[1], to_sales[1]) == ("e:e2", "d:c1:300")


def test_three_seconds_of_calls_may_come_at_once() -> None:
    assert (size_of(10).rate, size_of(10).burst) == (10, 30)


def test_operators_are_told_once_until_it_was_calm() -> None:
    alarms = Alarms()
    told = [alarms.rises(Quota.PHONE_CALLS, "p:1", count, 10) for count in (7, 8, 9, 10, 7, 8, 5, 8)]
    assert told == [False, True, False, False, False, False, False, True]


def test_what_was_told_is_bounded() -> None:
    alarms = Alarms()
    for number in range(MAX_TOLD + 5):
        assert alarms.rises(Quota.PHONE_CALLS, f"p:{number}", 10, 10)
    assert len(alarms.told) == 5


def test_each_quota_of_each_phone_is_told_by_itself() -> None:
    alarms = Alarms()
    assert alarms.rises(Quota.PHONE_CALLS, "p:1", 8, 10)
    assert alarms.rises(Quota.PHONE_CALLS, "p:2", 8, 10)
    assert alarms.rises(Quota.PHONE_RINGING, "p:1", 8, 10)
