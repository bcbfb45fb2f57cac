"""Statements 1 to 28 of docs/rfc.md: what a REGISTER does to the bindings (RFC 3261 section 10)."""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Final

import pytest

from tests.peers.phone import Account, Answer, BlockingPhone, parse_answer
from tests.peers.redis import RedisServer
from tests.wire.registering import EVERY, INSTANCE, contact, on_every_transport, phone_on, send, uris
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

A: Final = "sip:a@192.168.7.10:5060"
B: Final = "sip:b@192.168.7.10:5060"
AT_A: Final = f"Contact: <{A}>"
AT_B: Final = f"Contact: <{B}>"
DOMAIN: Final = "registrar.localhost"
ELSEWHERE: Final = "elsewhere.example"
PENDING: Final = 20
IMF_DATE: Final = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


def bare(phone: BlockingPhone, *lines: str, uri: str = "", to: str = "") -> Answer:
    """The answer to a REGISTER without credentials."""
    account = phone.caller.account
    uri, to = uri or f"sip:{account.domain}", to or account.uri
    return phone.exchange(phone.caller.request("REGISTER", uri, to, lines))


# What any REGISTER gets


@on_every_transport
def test_01_register_is_never_answered_6xx(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.3: a registrar never gives a 6xx, whatever is wrong with a request."""
    others = f"sip:somebody@{device.account.domain}"
    six = "Contact: " + ", ".join(contact(name) for name in "abcdef")
    with phone_on(streams, transport, device.account) as phone:
        newer = phone.caller.register().replace(b" SIP/2.0\r\n", b" SIP/3.0\r\n", 1)
        answers = {
            "no credentials": bare(phone, AT_A),
            "a scheme that is not SIP": bare(phone, AT_A, uri="tel:200"),
            "an unknown extension": bare(phone, AT_A, "Require: never-heard-of"),
            "an unknown version": phone.exchange(newer),
            "an address that is none": bare(phone, AT_A, to="isbn:2983792873"),
            "too brief": send(phone, AT_A, "Expires: 1"),
            "somebody else": send(phone, AT_A, to=others),
            "too many contacts": send(phone, six),
            "out of order": _out_of_order(phone),
        }
    assert {what: answer.status for what, answer in answers.items()} == {
        "no credentials": 401,
        "a scheme that is not SIP": 416,
        "an unknown extension": 420,
        "an unknown version": 505,
        "an address that is none": 400,
        "too brief": 423,
        "somebody else": 403,
        "too many contacts": 403,
        "out of order": 400,
    }


def _out_of_order(phone: BlockingPhone) -> Answer:
    assert send(phone, AT_A).status == 200
    phone.caller.cseq -= 2
    return send(phone, AT_A)


@on_every_transport
def test_02_record_route_is_ignored_and_never_answered(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3: Record-Route is ignored in a REGISTER and must not stand in its response."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, AT_A, "Record-Route: <sip:evil.example;lr>")
        assert answer.status == 200
        assert b"evil.example" not in answer.raw
        assert answer.all("record-route") == []
        assert "evil.example" not in str(streams.location(device))
        assert uris(answer) == {A: 3600}


@on_every_transport
def test_03_registers_are_processed_in_the_order_of_their_arrival(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3: a phone that does not wait for answers gets each as if it had waited."""
    asked = [0 if number % 3 == 2 else 60 + number for number in range(PENDING)]
    with phone_on(streams, transport, device.account) as phone:
        phone.caller.learn(phone.exchange(phone.caller.register()))
        for expires in asked:
            credentials = phone.caller.credentials("REGISTER", f"sip:{device.account.domain}")
            phone.send(phone.caller.register(expires, contact=f"<{A}>", extra=[credentials]))
        answers = [_next(phone) for _ in asked]
        assert [answer.status for answer in answers] == [200] * PENDING
        assert [answer.header("cseq") for answer in answers] == [
            f"{number + 2} REGISTER" for number in range(PENDING)
        ]
        assert [uris(answer).get(A, 0) for answer in answers] == asked
        assert streams.contacts(device) == {A}


def _next(phone: BlockingPhone) -> Answer:
    raw = phone.pipe.receive(5)
    assert raw is not None
    return parse_answer(raw)


@on_every_transport
def test_03_a_register_is_granted_as_a_whole_or_not_at_all(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3: one contact that cannot be granted leaves the others as they were."""
    with phone_on(streams, transport, device.account) as phone:
        assert send(phone, AT_A).status == 200
        before = streams.bindings(device)
        answer = send(phone, f"Contact: <{A}>;expires=0, <{B}>;expires=600, <sip:c@192.168.7.10>;expires=1")
        assert answer.status == 423
        assert streams.bindings(device) == before


@on_every_transport
def test_04_an_unknown_extension_is_named_before_credentials_are_looked_at(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 8.2.2.3: 420 lists what is not supported, and only that; the nonce is not used up."""
    with phone_on(streams, transport, device.account) as phone:
        phone.caller.learn(phone.exchange(phone.caller.register()))
        credentials = phone.caller.credentials("REGISTER", f"sip:{device.account.domain}")
        lines = [credentials, "Require: outbound, path", "Require: never-heard-of"]
        answer = phone.exchange(phone.caller.register(extra=lines))
        assert answer.status == 420
        assert answer.header("unsupported").replace(" ", "").split(",") == ["never-heard-of"]
        assert streams.stored(device) == ({}, {})
        assert phone.exchange(phone.caller.register(extra=[credentials])).status == 200


def test_04_the_path_of_a_stranger_is_refused(streams: Site, device: Handset) -> None:
    """RFC 3327 section 5.3: a proxy that stays between would be lost in calls: the phone is told so."""
    with phone_on(streams, "udp", device.account) as phone:
        answer = send(phone, AT_A, "Supported: path", "Path: <sip:edge.example;lr>")
        assert answer.status == 403
        assert "Path: " in answer.header("warning")
        assert streams.bindings(device) == []
        assert send(phone, AT_A, "Supported: path").status == 200


WRONG: Final = "w" * 32


@pytest.mark.parametrize(
    ("lines", "uri", "to", "password", "first", "last"),
    [
        (["Require: x"], f"sip:{ELSEWHERE}", f"sip:200@{ELSEWHERE}", WRONG, 420, 420),
        ([], f"sip:{ELSEWHERE}", "", WRONG, 401, 401),
        ([], "", f"sip:somebody@{ELSEWHERE}", WRONG, 401, 401),
        ([], "", f"sip:somebody@{DOMAIN}", WRONG, 401, 401),
        ([], "", f"sip:somebody@{DOMAIN}", "", 401, 403),
        ([], "", f"sip:somebody@{ELSEWHERE}", "", 401, 403),
        ([], f"sip:{ELSEWHERE}", "", "", 401, 403),
        ([], "", "", "", 401, 200),
    ],
    ids=[
        "Require before all else",
        "another domain and a wrong password",
        "an unknown address and a wrong password",
        "another address and a wrong password",
        "another address",
        "an address of another domain",
        "a Request-URI of another domain",
        "nothing is wrong",
    ],
)
def test_05_nobody_learns_more_than_401_before_the_password_is_right(
    lines: list[str],
    uri: str,
    to: str,
    password: str,
    first: int,
    last: int,
    streams: Site,
    device: Handset,
) -> None:
    """RFC 3261 section 10.3 steps 1 to 5: Require, then 401, then 403; an unknown address is a 403, too.

    What another domain is told is not its step 1: a stranger would learn from it whose domains we serve.
    """
    known = device.account
    account = Account(known.username, password or known.password, known.domain)
    with phone_on(streams, "udp", account) as phone:
        answer = bare(phone, AT_A, *lines, uri=uri, to=to)
        assert answer.status == first
        if first == 401:
            phone.caller.learn(answer)
            credentials = phone.caller.credentials("REGISTER", f"sip:{known.domain}")
            assert bare(phone, AT_A, *lines, credentials, uri=uri, to=to).status == last
    assert bool(streams.contacts(device)) is (last == 200)


@on_every_transport
def test_06_who_is_not_allowed_to_register_an_address_writes_nothing_there(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 4: 403, and the bindings of neither are touched."""
    victim = streams.new_phone()
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, AT_A, to=victim.account.uri)
        assert (answer.status, answer.all("contact")) == (403, [])
        assert streams.stored(victim) == ({}, {})
        assert streams.bindings(device) == []


# The address of record


def test_07_an_address_is_compared_without_parameters_and_escapes(streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.3 step 5: all URI parameters are removed and escaped characters decoded."""
    username, domain = device.account.username, device.account.domain
    escaped = f"%{ord(username[0]):02x}{username[1:]}"
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_A, to=f"sip:{escaped}@{domain};user=phone;x=y").status == 200
        assert uris(send(phone, AT_B)).keys() == {A, B}
    assert len(streams.bindings(device)) == 2


def test_08_the_user_of_an_address_has_its_case_and_the_host_has_not(streams: Site, device: Handset) -> None:
    """RFC 3261 section 19.1.4: the user part is case-sensitive, the host is not."""
    username, domain = device.account.username, device.account.domain
    assert username.upper() != username
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_A, to=f"sip:{username.upper()}@{domain}").status == 403
        assert streams.bindings(device) == []
        assert send(phone, AT_A, to=f"sip:{username}@{domain.upper()}").status == 200
        assert uris(send(phone)).keys() == {A}


# Reading and removing


@on_every_transport
def test_09_a_register_without_contact_lists_all_and_changes_nothing(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 6 and 10.2.3: skip to the last step."""
    with phone_on(streams, transport, device.account) as phone:
        assert send(phone, f"{AT_A}, <{B}>;expires=600").status == 200
        before = streams.bindings(device)
        answer = send(phone, "Expires: 0")
        assert answer.status == 200
        assert uris(answer).keys() == {A, B}
        assert streams.bindings(device) == before


@pytest.mark.parametrize(
    "lines",
    [
        (f"Contact: *, <{B}>",),
        (f"Contact: <{B}>, *",),
        ("Contact: *", f"Contact: <{B}>"),
        (f"Contact: <{B}>", "m: *"),
        ("Contact: *", "Contact: *"),
    ],
    ids=["first", "last", "first, in two headers", "last, in two headers", "twice"],
)
def test_10_the_wildcard_beside_another_contact_is_refused(
    lines: tuple[str, ...], streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 6: additional Contact fields beside `*` are an invalid request."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_A).status == 200
        assert bare(phone, *lines, "Expires: 0").status == 400
    assert streams.contacts(device) == {A}


@pytest.mark.parametrize("expires", [None, "1", "60", "soon", "", "-0"])
def test_11_the_wildcard_without_expires_0_is_refused(
    expires: str | None, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.2.2: `*` must not be used with another expiry than zero."""
    lines = ["Contact: *"] if expires is None else ["Contact: *", f"Expires: {expires}"]
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_A).status == 200
        assert send(phone, *lines).status == 400
    assert streams.contacts(device) == {A}


@on_every_transport
def test_12_the_wildcard_removes_all_or_nothing_by_the_order_of_requests(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 6: of the same Call-ID only with a higher CSeq, else the request fails."""
    with (
        phone_on(streams, transport, device.account) as one,
        phone_on(streams, transport, device.account) as other,
    ):
        one.caller.cseq = 50
        assert send(one, AT_A).status == 200
        assert send(other, AT_B).status == 200
        for earlier in (10, 50):
            one.caller.cseq = earlier
            assert send(one, "Contact: *", "Expires: 0").status == 400
            assert streams.contacts(device) == {A, B}
        answer = send(other, "Contact: *", "Expires: 0")
        assert (answer.status, answer.all("contact")) == (200, [])
        assert streams.contacts(device) == set()


# Expiry


@pytest.mark.parametrize(
    ("contacts", "header", "granted"),
    [
        (f"<{A}>;expires=120", 600, {A: 120}),
        (f"<{A}>;expires=600", 120, {A: 600}),
        (f"<{A}>;expires=0", 3600, {}),
        (f"<{A}>;expires=600", 0, {A: 600}),
        (f"<{A}>;expires=90, <{B}>", 300, {A: 90, B: 300}),
        (f"<{A};expires=90>", 300, {f"{A};expires=90": 300}),
    ],
    ids=["shorter", "longer", "zero", "header of zero", "one of two", "a parameter of the URI is none"],
)
def test_13_the_parameter_of_a_contact_wins_over_the_header(
    contacts: str, header: int, granted: dict[str, int], streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: the expires parameter first, then the Expires header."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_A).status == 200
        assert send(phone, "Contact: *", "Expires: 0").status == 200
        answer = send(phone, f"Contact: {contacts}", f"Expires: {header}")
    assert (answer.status, uris(answer)) == (200, granted)


@on_every_transport
def test_14_without_any_expiry_the_default_is_granted_and_said(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: a locally configured default, which step 8 tells the phone."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, AT_A)
        assert uris(answer) == {A: 3600}
        assert 3598 <= streams.status(device)["expires"] <= 3600


@pytest.mark.parametrize(
    ("value", "granted"),
    [
        ("soon", 3600),
        ("-5", 3600),
        ("1.5", 3600),
        ('"60"', 3600),
        ("0x3c", 3600),
        ("4294967295", 7200),
        ("4294967296", 7200),
        ("1" + "0" * 40, 7200),
        ("0000000000000000000000090", 90),
    ],
)
@pytest.mark.parametrize("where", ["header", "parameter"])
def test_15_a_malformed_expiry_is_an_hour_and_a_large_one_the_most(
    where: str, value: str, granted: int, streams: Site, device: Handset
) -> None:
    """RFC 3261 sections 10.2.1.1, 20.10 and 20.19: malformed is 3600, more than 2**32-1 is 2**32-1."""
    lines = [AT_A, f"Expires: {value}"] if where == "header" else [f"{AT_A};expires={value}"]
    with phone_on(streams, "udp", device.account) as phone:
        answer = send(phone, *lines)
    assert (answer.status, uris(answer)) == (200, {A: granted})


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([AT_A, "Expires: 1"], 423),
        ([AT_A, "Expires: 59"], 423),
        ([f"{AT_A};expires=59", "Expires: 3600"], 423),
        ([AT_A, "Expires: 60"], 200),
        ([AT_A, "Expires: 0"], 200),
        ([f"{AT_A};expires=0", "Expires: 1"], 200),
        ([f"{AT_A};expires=60", "Expires: 1"], 200),
        (["Expires: 1"], 200),
        (["Contact: *", "Expires: 0"], 200),
    ],
    ids=["1", "59", "59 in the parameter", "60", "0", "0 in the parameter", "60 there", "a question", "all"],
)
def test_16_too_brief_is_what_is_less_than_a_minute_and_not_zero(
    lines: list[str], status: int, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: 423 with Min-Expires, never for a removal."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, AT_B).status == 200
        answer = send(phone, *lines)
    assert (answer.status, answer.header("min-expires")) == (status, "60" if status == 423 else "")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(60, 60), (61, 61), (100, 100), (3600, 3600), (7199, 7199), (7200, 7200), (7201, 7200), (86400, 7200)],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_17_an_expiry_is_shortened_and_never_lengthened(
    transport: str, asked: int, granted: int, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7 and 10.2.4: at most what was asked, and to the second (decision 10)."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, AT_A, f"Expires: {asked}")
        assert uris(answer) == {A: granted}
        again = uris(send(phone))[A]
    assert granted - 2 <= again <= granted <= asked


# The same contact


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:a@PHONE.example", "sip:a@phone.EXAMPLE", True),
        ("sip:a@phone.example", "sip:%61@phone.example", True),
        ("sip:a@phone.example;transport=udp;x=1", "sip:a@phone.example;X=1;TRANSPORT=UDP", True),
        ("sip:a@phone.example", "sip:a@phone.example;lr", True),
        ("sip:a@phone.example", "sip:a@phone.example:5060", False),
        ("sip:a@phone.example", "sip:A@phone.example", False),
        ("sip:a@phone.example", "sip:a@phone.example;transport=udp", False),
        ("sip:a@phone.example", "sip:a@phone.example;user=phone", False),
        ("sip:a@phone.example;x=1", "sip:a@phone.example;x=2", False),
        ("sip:a@phone.example", "sips:a@phone.example", False),
        ("sip:a@phone.example", "sip:a:secret@phone.example", False),
    ],
    ids=[
        "case of the host",
        "an escape",
        "order and case of parameters",
        "a parameter of one alone",
        "the default port",
        "case of the user",
        "transport",
        "user=phone",
        "another value",
        "another scheme",
        "a password",
    ],
)
def test_18_contacts_are_compared_as_uris(
    one: str, other: str, same: bool, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 19.1.4."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, f"Contact: <{one}>").status == 200
        assert len(uris(send(phone, f"Contact: <{other}>"))) == (1 if same else 2)


@pytest.mark.parametrize("step", [0, -20], ids=["the same CSeq", "a lower CSeq"])
@on_every_transport
def test_19_a_contact_out_of_order_fails_the_whole_request(
    transport: str, step: int, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: the update is aborted, and with it that of the other contacts."""
    with phone_on(streams, transport, device.account) as phone:
        phone.caller.cseq = 50
        assert send(phone, AT_A).status == 200
        before = streams.bindings(device)
        phone.caller.cseq = 50 + step
        answer = send(phone, f"Contact: <{B}>, <{A}>;expires=600")
        assert answer.status == 400
        assert streams.bindings(device) == before


@on_every_transport
def test_20_a_phone_that_was_started_again_may_count_from_one(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: another Call-ID updates the binding whatever its CSeq is."""
    with phone_on(streams, transport, device.account) as before:
        before.caller.cseq = 5000
        assert send(before, AT_A).status == 200
    with phone_on(streams, transport, device.account) as after:
        assert uris(send(after, f"{AT_A};expires=600")) == {A: 600}
        assert after.caller.cseq < 5000
        assert len(streams.bindings(device)) == 1


# The stores


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_21_what_cannot_be_written_is_503_and_leaves_nothing(
    transport: str, spare: Site, spare_redis: RedisServer, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 7: a failed commit is a 500-class answer, and no tentative binding."""
    spare_redis.kill9()
    try:
        with phone_on(spare, transport, device.account) as phone:
            answer = phone.register(contact=f"<{A}>")
            assert (answer.status, answer.all("contact")) == (503, [])
            assert int(answer.header("retry-after")) > 0
    finally:
        spare_redis.start()
    within(5, spare.ready, "ready again")
    assert spare.stored(device) == ({}, {})
    with phone_on(spare, transport, device.account) as phone:
        assert uris(send(phone)) == {}
        assert uris(send(phone, AT_A)) == {A: 3600}


# The 200


@on_every_transport
def test_22_the_200_lists_every_binding_with_its_time(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.3 step 8: all current bindings, each with an expires parameter."""
    c = "sip:c@192.168.7.10"
    with phone_on(streams, transport, device.account) as phone:
        send(phone, f"{AT_A};expires=600")
        send(phone, f"{AT_B};expires=900;q=0.5")
        answer = send(phone, f"Contact: <{c}>;expires=1200")
    listed = uris(answer)
    assert listed.keys() == {A, B, c}
    assert len(answer.all("contact")) == 3
    assert all(";expires=" in value for value in answer.all("contact"))
    assert listed[c] == 1200
    assert (595 < listed[A] <= 600, 895 < listed[B] <= 900) == (True, True)


@on_every_transport
def test_23_the_200_tells_the_time(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.3 step 8 and 20.17: a Date, in GMT."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, AT_A)
    (date,) = answer.all("date")
    assert IMF_DATE.fullmatch(date)
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 3


# URIs


def test_24_a_user_in_the_request_uri_says_nothing(streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.2: it must not be there; who sends it is served by the domain and by To alone."""
    victim = streams.new_phone()
    with phone_on(streams, "udp", device.account) as phone:
        answer = send(phone, AT_A, uri=f"sip:{victim.account.username}@{device.account.domain}")
    assert (answer.status, uris(answer)) == (200, {A: 3600})
    assert streams.contacts(device) == {A}
    assert streams.stored(victim) == ({}, {})


@pytest.mark.parametrize("to", ["isbn:2983792873", "tel:+4512345678", "mailto:a@registrar.localhost"])
@on_every_transport
def test_25_only_sip_addresses_can_be_registered(
    transport: str, to: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 10.3 step 5 with RFC 4475 section 3.3.4: 400, before anybody is asked who he is."""
    with phone_on(streams, transport, device.account) as phone:
        assert bare(phone, AT_A, to=to).status == 400


def test_26_a_contact_need_not_be_a_sip_uri(streams: Site, device: Handset) -> None:
    """RFC 3261 section 10.2.1: any URI may be bound, refreshed and removed; nobody tries to reach it."""
    mail, tel = "mailto:a@phone.example", "tel:+4512345678"
    with phone_on(streams, "udp", device.account) as phone:
        assert uris(send(phone, f"Contact: <{mail}>, <{tel}>")).keys() == {mail, tel}
        assert uris(send(phone, f"Contact: <{mail}>;expires=600"))[mail] == 600
        assert streams.status(device)["online"] is True
        assert uris(send(phone, f"Contact: <{mail}>;expires=0")).keys() == {tel}
    assert streams.contacts(device) == {tel}


@pytest.mark.parametrize("q", ["1", "1.0", "1.000", "0", "0.0", "0.7", "0.123"])
def test_27_the_q_of_a_contact_is_kept_and_told(q: str, streams: Site, device: Handset) -> None:
    """RFC 3261 sections 10.2.1.2 and 25.1: 0 to 1, with three decimals at most."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, f"{AT_A};q={q}").status == 200
        (value,) = send(phone).all("contact")
    assert re.search(rf";q={re.escape(q)}(;|$)", value)


@pytest.mark.parametrize("q", ["1.1", "2", "0.1234", "-0.5", "high"])
def test_27_what_is_no_q_is_refused(q: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 25.1: a qvalue that is none is a syntax error, 400."""
    with phone_on(streams, "udp", device.account) as phone:
        assert send(phone, f"{AT_A};q={q}").status == 400
    assert streams.contacts(device) == set()


@pytest.mark.parametrize("transport", EVERY)
def test_28_an_instance_is_told_as_it_came(transport: str, streams: Site, device: Handset) -> None:
    """RFC 5626 section 4.1: a URN in angle brackets, inside the quotes, byte by byte."""
    instance = INSTANCE.format("A").replace("urn:uuid:0", "urn:uuid:F")
    with phone_on(streams, transport, device.account) as phone:
        (value,) = send(phone, f"{AT_A};{instance}").all("contact")
    assert f";{instance};" in value
