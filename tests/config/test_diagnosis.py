"""config/diagnosis.py: why a phone is offline, in a sentence for an operator."""

from dataclasses import replace

import pytest

from config.diagnosis import (
    CREDENTIALS,
    OFFLINE,
    REFUSALS,
    SETTINGS,
    Circumstances,
    Deed,
    diagnose,
    moment,
)
from registrar.model import IpMode, Reason
from registrar.rules.access import TOLD
from registrar.rules.status import REFUSED_AS, UNKNOWN, LiveStatus
from tests.every import every

AT = 1_795_262_400
T = "2026-11-21T12:00:00Z"
LATER = "2026-11-21T12:01:00Z"
OPEN = Circumstances()
LOCKED = Circumstances(mode=IpMode.LOCKED, address="10.0.0.1")
ROAMING = Circumstances(mode=IpMode.ROAMING, countries="DK,SE")
DOMAIN = Circumstances(by_domain=True)
BLOCKED = Circumstances(customer_active=False)


def offline(reason: object, **changes: object) -> LiveStatus:
    """A phone that went offline at noon."""
    fields = {
        "reason": reason,
        "since": AT,
        "public_ip_address": "10.0.0.1",
        "public_port": 5060,
        "transport": "wss",
        "node": "a",
        "last_seen": AT - 60,
    }
    return LiveStatus(**{**fields, **changes})  # type: ignore[arg-type]


def refused(why: str, **changes: object) -> LiveStatus:
    """A phone that was refused a minute after it had gone offline."""
    return offline(
        **{
            "reason": str(REFUSED_AS.get(why, Reason.EXPIRED)),
            "last_rejected_at": AT + 60,
            "last_rejected_ip": "10.0.0.9",
            "last_rejected_reason": why,
            **changes,
        },
    )


RESET = Deed(CREDENTIALS, "Anna", AT, "192.0.2.1")
CHANGED = Deed(SETTINGS, "Bo", AT - 1)
LONG_AGO = Deed(SETTINGS, "Bo", AT - 3_600)

SENTENCES = [
    (
        "taken back",
        offline("unregistered"),
        OPEN,
        (),
        f"Offline since {T}: the phone took its registration back, as phones do that are switched off or "
        "logged out. It comes back by itself when it is switched on.",
    ),
    (
        "not refreshed",
        offline("expired"),
        OPEN,
        (),
        f"Offline since {T}: the phone did not refresh its registration in time; it was last heard from "
        "10.0.0.1:5060 at 2026-11-21T11:59:00Z. Check its power and its network.",
    ),
    (
        "not refreshed, nothing known",
        offline("expired", public_ip_address=None, last_seen=None),
        OPEN,
        (),
        f"Offline since {T}: the phone did not refresh its registration in time; it was last heard from "
        "an unknown address. Check its power and its network.",
    ),
    (
        "closed",
        offline("socket-closed"),
        OPEN,
        (),
        f"Offline since {T}: its connection over WSS from 10.0.0.1:5060 was closed and it did not come "
        "back. Check its network, or open the page or program of the softphone again.",
    ),
    (
        "silent",
        offline("ping-timeout", public_ip_address="2001:db8::1", transport=None),
        OPEN,
        (),
        f"Offline since {T}: its connection from [2001:db8::1]:5060 was open, but the phone stopped "
        "answering. Check its network; a computer that sleeps does this too.",
    ),
    (
        "silent over UDP",
        offline("ping-timeout", transport="udp"),
        OPEN,
        (),
        f"Offline since {T}: it does not answer pings any more at 10.0.0.1:5060 over UDP, where it was last "
        "heard from at 2026-11-21T11:59:00Z. Check its power and its network; it comes back with its next "
        "registration, or at once when it is restarted.",
    ),
    (
        "silent over UDP, and bound yet",
        offline("ping-timeout", transport="udp", silent=True, expires_at=AT + 60),
        OPEN,
        (),
        f"Offline since {T}: it does not answer pings any more at 10.0.0.1:5060 over UDP, where it was last "
        f"heard from at 2026-11-21T11:59:00Z. Its registration stays until {LATER}: calls to it are tried, "
        "and it is online again as soon as it is heard. Check its power and its network.",
    ),
    (
        "process gone",
        offline("node-lost"),
        OPEN,
        (),
        f"Offline since {T}: the process of the registrar that held its connection (a) is gone. The phone "
        "comes back by itself once it notices; see that the process runs again.",
    ),
    (
        "nameless process gone",
        offline("node-lost", node=None),
        OPEN,
        (),
        f"Offline since {T}: the process of the registrar that held its connection is gone. The phone "
        "comes back by itself once it notices; see that the process runs again.",
    ),
    (
        "revoked by nobody known",
        offline("revoked"),
        OPEN,
        (LONG_AGO,),
        f"Offline since {T}: its registration was revoked: its credentials, its extension or its customer "
        "changed. Give the phone the username and password that it has now, if they changed.",
    ),
    (
        "reset",
        offline("revoked"),
        OPEN,
        (RESET,),
        f"Offline since {T}: its credentials were reset by Anna from 192.0.2.1 at {T}. Give the phone the "
        "username and password that it has now.",
    ),
    (
        "settings changed",
        offline("revoked"),
        OPEN,
        (CHANGED,),
        f"Offline since {T}: its registration was revoked when its settings were changed by Bo at "
        "2026-11-21T11:59:59Z.",
    ),
    (
        "locked elsewhere by somebody",
        offline("ip-rejected"),
        Circumstances(mode=IpMode.LOCKED, address="10.0.0.2"),
        (CHANGED,),
        f"Offline since {T}: the rule from where it may connect was changed by Bo at 2026-11-21T11:59:59Z, "
        "and 10.0.0.1:5060 is not 10.0.0.2, to which it is locked now. Open it again with ip.mode OPEN.",
    ),
    (
        "roaming elsewhere",
        offline("ip-rejected"),
        ROAMING,
        (),
        f"Offline since {T}: the rule from where it may connect was changed, and 10.0.0.1:5060 is not in "
        "one of its countries, DK,SE. Add the country to ip.countries.",
    ),
    (
        "without TLS",
        offline("ip-rejected", transport="udp"),
        Circumstances(tls=True),
        (),
        f"Offline since {T}: the rule from where it may connect was changed, and 10.0.0.1:5060 came without "
        "TLS, which policy.tls requires now. Set the phone's transport to TLS.",
    ),
    (
        "other networks",
        offline("ip-rejected", public_port=None),
        DOMAIN,
        (),
        f"Offline since {T}: the rule from where it may connect was changed, and 10.0.0.1 is in none of "
        "the customer's trusted networks.",
    ),
    (
        "opened since",
        offline("ip-rejected"),
        OPEN,
        (),
        f"Offline since {T}: the rule from where it may connect was changed, and 10.0.0.1:5060 was not "
        "allowed then. It is open now: its next registration locks it to its address.",
    ),
    (
        "a reason of a newer version",
        offline("moonlight"),
        OPEN,
        (),
        f"Offline since {T}: moonlight; it was last heard from 10.0.0.1:5060.",
    ),
    (
        "no reason but a moment",
        offline("", last_rejected_at=AT - 1),
        OPEN,
        (),
        f"Offline since {T}: no reason is known; it was last heard from 10.0.0.1:5060.",
    ),
    (
        "another address than the lock",
        refused("ip-locked"),
        LOCKED,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone is locked to "
        "10.0.0.1. Open it again with ip.mode OPEN.",
    ),
    (
        "locked then, open now",
        refused("ip-locked"),
        OPEN,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone was locked to "
        "another one. It is open now: its next registration locks it.",
    ),
    (
        "locked elsewhere then, here now",
        refused("ip-locked", last_rejected_ip="10.0.0.1"),
        LOCKED,
        (),
        f"Offline since {T}: the phone's address 10.0.0.1 was refused because the phone was locked to "
        "another one. It is locked to this one now: its next try gets in.",
    ),
    (
        "refused, and reset in the same second",
        refused("ip-locked", last_rejected_at=AT, reason="revoked"),
        LOCKED,
        (RESET,),
        f"Offline since {T}: its credentials were reset by Anna from 192.0.2.1 at {T}. Give the phone the "
        "username and password that it has now.",
    ),
    (
        "offline, and refused in the same second",
        refused("ip-locked", last_rejected_at=AT),
        LOCKED,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone is locked to "
        "10.0.0.1. Open it again with ip.mode OPEN.",
    ),
    (
        "refused by something else in the second of its end",
        refused("not-yours", last_rejected_at=AT),
        OPEN,
        (),
        f"Offline since {T}: the phone did not refresh its registration in time; it was last heard from "
        "10.0.0.1:5060 at 2026-11-21T11:59:00Z. Check its power and its network.",
    ),
    (
        "locked then, roaming now",
        refused("ip-locked"),
        ROAMING,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone was locked to "
        "another one. It may roam now, in DK,SE.",
    ),
    (
        "wrong country",
        refused("country-refused"),
        ROAMING,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because its country is not one of "
        "DK,SE. Add the country to ip.countries.",
    ),
    (
        "no country",
        refused("country-unknown"),
        ROAMING,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because its country is unknown "
        "(private addresses have none). Use ip.mode LOCKED or OPEN for this phone.",
    ),
    (
        "no file",
        refused("no-country-file"),
        ROAMING,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone may roam in DK,SE "
        "and the registrar has no country file. Give it one (REGISTRAR_GEOIP_DATABASE).",
    ),
    (
        "a proxy",
        refused("proxy-address"),
        OPEN,
        (),
        f"Offline since {T}: it came from 10.0.0.9, a proxy of the registrar's own to which no phone is "
        "locked. See that the proxy tells the phone's address (X-Forwarded-For).",
    ),
    (
        "an untrusted network",
        refused("untrusted-network"),
        DOMAIN,
        (),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because it is in none of the "
        "customer's trusted networks. Add its network to them.",
    ),
    (
        "blocked then",
        refused("customer-inactive"),
        OPEN,
        (),
        f"Offline since {T}: it was refused at {LATER} because its customer was not active. The customer "
        "is active now: the phone gets in with its next try.",
    ),
    (
        "another cluster",
        refused("other-cluster"),
        OPEN,
        (),
        f"Offline since {T}: it was refused when it came from 10.0.0.9 because it belongs to another PBX "
        "cluster than this registrar. Send it to the other one, or change pbxCluster.",
    ),
    (
        "not its own address",
        refused("not-yours"),
        OPEN,
        (),
        f"Offline since {T}: it was refused when it came from 10.0.0.9 because it asked for an address "
        "that is not its own. Its SIP user must be its username or the number of its extension, at its own "
        "domain.",
    ),
    (
        "a refusal of a newer version",
        refused("moonlight"),
        OPEN,
        (),
        f"Offline since {T}: it was refused from 10.0.0.9 (moonlight).",
    ),
    (
        "refused, and reset afterwards",
        refused("ip-locked"),
        LOCKED,
        (Deed(CREDENTIALS, "Anna", AT + 120),),
        f"Offline since {T}: the phone's address 10.0.0.9 was refused because the phone is locked to "
        "10.0.0.1. Open it again with ip.mode OPEN. Since then its credentials were reset by Anna at "
        "2026-11-21T12:02:00Z. Give the phone the username and password that it has now.",
    ),
    (
        "refused before it ever registered",
        refused("ip-locked", since=None),
        LOCKED,
        (),
        "Never registered: the phone's address 10.0.0.9 was refused because the phone is locked to "
        "10.0.0.1. Open it again with ip.mode OPEN.",
    ),
    (
        "the customer is blocked",
        offline("revoked"),
        BLOCKED,
        (RESET,),
        f"Offline since {T}: the customer is not active, so none of its phones may register. Set the "
        "customer's state to ACTIVE.",
    ),
    (
        "blocked before it ever registered",
        LiveStatus(),
        BLOCKED,
        (),
        "Offline: the customer is not active, so none of its phones may register. Set the customer's "
        "state to ACTIVE.",
    ),
    (
        "never, open",
        LiveStatus(),
        OPEN,
        (),
        "Never registered (or not within the last 30 days): no REGISTER with its username and password "
        "has come in. Check that the phone has exactly these credentials and reaches the registrar's "
        "address and port; its first registration locks it to the address it comes from.",
    ),
    (
        "never, locked",
        LiveStatus(),
        LOCKED,
        (),
        "Never registered (or not within the last 30 days): no REGISTER with its username and password "
        "has come in. Check that the phone has exactly these credentials and reaches the registrar's "
        "address and port; it is let in from 10.0.0.1 alone.",
    ),
    (
        "never, roaming",
        LiveStatus(),
        ROAMING,
        (),
        "Never registered (or not within the last 30 days): no REGISTER with its username and password "
        "has come in. Check that the phone has exactly these credentials and reaches the registrar's "
        "address and port; it is let in from DK,SE alone.",
    ),
    (
        "never, by networks",
        LiveStatus(),
        DOMAIN,
        (),
        "Never registered (or not within the last 30 days): no REGISTER with its username and password "
        "has come in. Check that the phone has exactly these credentials and reaches the registrar's "
        "address and port, from one of the customer's trusted networks if there are any.",
    ),
    (
        "unknown",
        UNKNOWN,
        OPEN,
        (),
        "Unknown: the store of the live status does not answer.",
    ),
    (
        "online",
        offline("registered", online=True, expires=120, user_agent="Phone 1.0"),
        LOCKED,
        (),
        f"Online since {T}: the phone is registered from 10.0.0.1:5060 over WSS with Phone 1.0; its "
        "registration has 120 seconds left.",
    ),
    (
        "online, little known",
        LiveStatus(online=True, expires=None),
        OPEN,
        (),
        "Online since an unknown moment: the phone is registered from an unknown address.",
    ),
    (
        "online, refused before",
        offline("registered", online=True, expires=120, last_rejected_at=AT - 1),
        LOCKED,
        (),
        f"Online since {T}: the phone is registered from 10.0.0.1:5060 over WSS; its registration has 120 "
        "seconds left.",
    ),
    (
        "online, and another device tries",
        refused("ip-locked", online=True, expires=120),
        LOCKED,
        (),
        f"Online since {T}: the phone is registered from 10.0.0.1:5060 over WSS; its registration has 120 "
        f"seconds left. Beside it, at {LATER}, the phone's address 10.0.0.9 was refused because the phone "
        "is locked to 10.0.0.1. Open it again with ip.mode OPEN.",
    ),
]


@every(
    ("live", "rule", "deeds", "sentence"),
    [row[1:] for row in SENTENCES],
    ids=[row[0] for row in SENTENCES],
)
def test_a_sentence_says_how_it_is_and_what_to_do(
    live: LiveStatus, rule: Circumstances, deeds: tuple[Deed, ...], sentence: str
) -> None:
    assert diagnose(live, rule, deeds) == sentence


def test_every_reason_of_the_status_has_its_sentence() -> None:
    assert {str(reason) for reason in OFFLINE} == {str(reason) for reason in Reason} - {"registered"}


def test_every_refusal_that_keeps_a_phone_offline_has_its_sentence() -> None:
    assert set(REFUSED_AS) <= set(REFUSALS)


def test_every_word_of_a_refusal_has_its_sentence_and_what_the_phone_is_told() -> None:
    assert set(REFUSALS) - {"bad-contact", "cseq-out-of-order", "wrong-password"} == set(TOLD)


@pytest.mark.parametrize(
    ("why", "part"),
    [
        ("foreign-uri", "names another host than this registrar. Set its SIP server or domain"),
        ("no-extension", "because it has no extension. Give it one"),
        ("edge-proxy", "through a proxy that wants to stay between (Path)"),
        ("bad-path", "added no Path, or one that leads nowhere"),
        ("too-many-contacts", "more contacts than one phone may have"),
        ("bad-contact", "because its Contact cannot be used"),
        ("cseq-out-of-order", "its CSeq is not higher"),
    ],
)
def test_a_request_that_was_refused_is_told_with_what_to_do(why: str, part: str) -> None:
    sentence = diagnose(refused(why), LOCKED, ())
    assert "10.0.0.9" in sentence
    assert part in sentence


@pytest.mark.parametrize(
    ("times", "said"),
    [
        pytest.param(1, "wrong password from 10.0.0.9. If", id="once"),
        pytest.param(14, f"wrong password from 10.0.0.9, 14 times since {T}. If", id="more than once"),
    ],
)
def test_a_wrong_password_is_told_with_its_source_and_how_often(times: int, said: str) -> None:
    live = replace(refused("wrong-password"), wrong_passwords=times, wrong_passwords_since=AT)
    assert said in diagnose(live, LOCKED, ())


def test_a_moment_is_written_as_the_api_writes_it() -> None:
    assert (moment(AT), moment(None)) == (T, "an unknown moment")
