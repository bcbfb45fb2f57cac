"""handlers/registration/register.py: from the right digest to the answer, and what is written on the way."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from registrar.errors import StoreUnavailable
from registrar.handlers.answers import BUSY, Answer
from registrar.model import Flow, IpMode, Phone
from registrar.rules.auth import Claim
from tests.every import every
from tests.patience import limit

from ..world import DOMAIN, ELSEWHERE, HOME, SERVICE, Device, Incoming, World, phone, user

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)
ROAMING = phone(mode=IpMode.ROAMING, countries=("DK",))


def contacts(answer: Answer) -> list[str]:
    return [value for name, value in answer.headers if name == "Contact"]


def is_stale(answer: Answer) -> bool:
    return answer.status == 401 and answer.headers[0][1].endswith("stale=true")


# The way through


async def test_a_phone_registers_and_is_told_all_of_it() -> None:
    world = World()
    answer = await Device(world).register(600)
    assert (answer.status, contacts(answer)) == (200, ["<sip:200@10.0.0.7>;expires=600"])
    assert dict(answer.headers)["Date"] == "Mon, 21 Sep 2026 14:13:20 GMT"
    assert world.events() == ["locked", "registered"]
    (binding,) = world.snapshot().bindings
    assert (binding.public_ip, binding.node, binding.generation) == (HOME, "a", "g-a")


@pytest.mark.parametrize(
    ("transport", "known", "told"),
    [
        pytest.param("wss", {"name": "Anna"}, f'"Anna" <sip:200@{DOMAIN}>', id="a browser"),
        pytest.param(
            "ws", {"name": 'A "B" \\'}, f'"A \\"B\\" \\\\" <sip:200@{DOMAIN}>', id="a name with quotes"
        ),
        pytest.param("wss", {}, f"<sip:200@{DOMAIN}>", id="a person without a name"),
        pytest.param("wss", {"name": "Anna", "extension": ""}, None, id="no extension"),
        pytest.param("tls", {"name": "Anna"}, None, id="a desk phone"),
        pytest.param("udp", {"name": "Anna"}, None, id="a desk phone over UDP"),
    ],
)
async def test_a_browser_is_told_who_it_is(
    transport: str, known: dict[str, object], told: str | None
) -> None:
    world = World(replace(LOCKED, **known))  # type: ignore[arg-type]  # the table names fields that exist
    device = Device(world)
    device.to = f"sip:{LOCKED.username}@{DOMAIN}"
    if transport != "udp":
        device.flow = world.lines.dial(transport)
    answer = await device.register()
    assert answer.status == 200
    assert dict(answer.headers).get("P-Associated-URI") == told


async def test_a_question_is_answered_with_every_binding() -> None:
    world = World(LOCKED)
    await Device(world, contact="10.0.0.8").register(600)
    world.clock.now += 100
    answer = await Device(world).register(None)
    assert contacts(answer) == ["<sip:200@10.0.0.8>;expires=500"]


async def test_what_runs_out_while_nobody_sweeps_is_told_by_the_next_request() -> None:
    world = World(LOCKED)
    await Device(world).register(60)
    world.clock.now += 60
    answer = await Device(world, contact="10.0.0.8").register(600)
    assert len(contacts(answer)) == 1
    assert world.events() == ["registered", "expired", "registered"]


@pytest.mark.parametrize(
    ("expires", "contact", "status", "reason", "why", "events"),
    [
        pytest.param(
            30,
            "<sip:200@10.0.0.7>",
            423,
            "Interval Too Brief",
            "Expires: 30 seconds, and 60 are the least",
            [],
            id="too brief",
        ),
        pytest.param(
            600,
            "<sip:200@224.0.0.1>",
            400,
            "Bad Contact",
            "Contact: no phone can be reached at 224.0.0.1",
            ["rejected"],
            id="a bad contact",
        ),
        pytest.param(
            600,
            "<sip:200@10.0.0.7>;q=7",
            400,
            "Bad Contact q",
            "Contact: q is 7, and must be from 0 to 1",
            ["rejected"],
            id="a bad q",
        ),
        pytest.param(
            600,
            "*",
            400,
            "Contact * Needs Expires 0",
            "Contact: * needs the header Expires: 0",
            ["rejected"],
            id="a bad wildcard",
        ),
    ],
)
async def test_what_cannot_be_granted_uses_its_nonce_and_nothing_else(
    expires: int, contact: str, status: int, reason: str, why: str, events: list[str]
) -> None:
    """What people must repair is in the journal; a phone repairs 423 by itself."""
    world = World(LOCKED)
    device = Device(world)
    answer = await device.register(expires, contact)
    assert (answer.status, answer.reason, answer.why) == (status, reason, why)
    assert world.snapshot().bindings == ()
    assert len(world.snapshot().nonces) == 1
    assert world.events() == events
    noted = world.location.status.get("id-u", {}).get("lastRejectedReason")
    assert noted == ("bad-contact" if events else None)


async def test_a_right_digest_for_another_host_is_told_so_and_noted() -> None:
    """It proves the password: a challenge again would change nothing, for ever."""
    world = World(LOCKED)
    device = Device(world)
    await device.register()
    device.digest_uri = "sip:registrar.elsewhere.test"
    refused = await device.send()
    assert refused == Answer(403)
    assert refused.why == "the digest is right, but its uri names another host than this service"
    assert world.events() == ["registered", "rejected"]
    assert world.location.status["id-u"]["lastRejectedReason"] == "foreign-uri"
    assert world.location.status["id-u"]["reason"] == "registered"
    device.digest_uri = ""
    assert (await device.send()).status == 200


async def test_a_wrong_digest_for_another_host_is_challenged_and_leaves_nothing() -> None:
    world = World(LOCKED)
    device = Device(world, replace(LOCKED, password="q" * 32))
    device.digest_uri = "sip:registrar.elsewhere.test"
    assert (await device.register()).status == 401
    assert world.events() == []


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER"])
async def test_a_phone_without_an_extension_registers_and_does_not_call(method: str) -> None:
    bare = replace(LOCKED, extension="")
    world = World(bare)
    device = Device(world, bare)
    device.to = f"sip:{bare.username}@{DOMAIN}"
    assert (await device.register()).status == 200
    refused = await device.send(method=method)
    assert refused == Answer(403, "No Extension")
    assert refused.why == "this phone has no extension, so it neither calls nor is called"
    assert world.events() == ["registered", "rejected"]
    assert world.location.status[bare.id]["reason"] == "registered"


async def test_a_sip_user_calls_by_its_name() -> None:
    account = user(extension="")
    world = World(account)
    caller = softphone(world)
    assert (await caller.send(method="MESSAGE")).status == 407  # challenged
    await caller.register()
    assert (await caller.send(method="MESSAGE")).status == 404


async def test_too_brief_does_not_lock() -> None:
    world = World()
    assert (await Device(world).register(30)).status == 423
    assert world.people.rows["id-u"].mode is IpMode.OPEN


@pytest.mark.parametrize(
    ("user", "status"),
    [
        pytest.param("200", 200, id="somebody who is there"),
        pytest.param("202", 480, id="somebody without a phone"),
        pytest.param("998", 404, id="nobody"),
    ],
)
async def test_options_to_a_user_tell_who_is_there_and_lock_nothing(user: str, status: int) -> None:
    world = World(LOCKED, phone("c", extension="202"))
    await Device(world).register()
    device = Device(world, contact="10.0.0.8")
    device.target = f"sip:{user}@{DOMAIN}"
    answer = await device.register(None, method="OPTIONS")
    assert answer.status == status
    assert status != 200 or answer.headers[0][0] == "Allow"
    assert world.people.locks == 0


async def test_options_to_a_user_of_a_phone_that_is_open_lock_nothing() -> None:
    world = World()
    assert (await Device(world).register(None, method="OPTIONS")).status == 404
    assert world.people.locks == 0


# Who it is


@every(
    ("to", "status"),
    [
        pytest.param(f"sip:200@{DOMAIN}", 200, id="its extension"),
        pytest.param(f"sip:{'u' * 32}@{DOMAIN}", 200, id="its username"),
        pytest.param(f"sip:%3200@{DOMAIN.upper()};user=phone", 200, id="in another spelling"),
        pytest.param(f"sip:200@{SERVICE}", 200, id="at the name of the service"),
        pytest.param("sip:200@192.0.2.10", 200, id="at the address of the service"),
        pytest.param(f"sip:201@{DOMAIN}", 403, id="another extension"),
        pytest.param("sip:200@rival.test", 403, id="another tenant's domain"),
        pytest.param("sip:200@elsewhere.test", 403, id="a domain of nobody"),
        pytest.param(f"sip:{DOMAIN}", 403, id="nobody"),
    ],
)
async def test_a_phone_registers_its_own_address_and_no_other(to: str, status: int) -> None:
    world = World()
    device = Device(world)
    device.to = to
    answer = await device.register()
    assert answer.status == status
    assert (world.people.rows["id-u"].mode is IpMode.LOCKED) is (status == 200)
    assert bool(world.snapshot().bindings) is (status == 200)


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        pytest.param(f"sip:{SERVICE}", 200, id="the name of the service"),
        pytest.param("sip:192.0.2.10:5070", 200, id="the address of the service"),
        pytest.param(f"sip:someone@{DOMAIN}", 200, id="with a user, who says nothing"),
        pytest.param("sip:rival.test", 403, id="another tenant's domain"),
        pytest.param("sip:elsewhere.test", 403, id="a domain of nobody"),
    ],
)
async def test_a_phone_registers_at_its_own_domain_and_at_no_other(uri: str, status: int) -> None:
    """Section 10.3 step 1: the Request-URI says whose bindings are meant."""
    world = World()
    device = Device(world)
    await device.register(None)
    device.uri = uri
    assert (await device.send()).status == status
    assert bool(world.snapshot().bindings) is (status == 200)


async def test_a_wrong_password_is_a_plain_challenge_and_writes_nothing() -> None:
    world = World()
    answer = await Device(world, phone(password="wrong")).register()
    assert answer.status == 401 and not is_stale(answer)
    assert world.location.updates == []
    assert world.people.rows["id-u"].mode is IpMode.OPEN


async def test_a_twin_of_a_request_that_is_being_served_gets_no_answer() -> None:
    world = World()
    device = Device(world)
    device.take(await device.send())
    device.cseq += 1
    message = device.build(600)
    flow = Flow("udp", "192.0.2.10", 5060, HOME, 5060)
    claim = world.checks.sort(message, flow, world.clock())
    assert isinstance(claim, Claim)
    twin = Incoming(message, flow, is_twin=True)
    await world.dispatch.serve(twin, claim)
    assert twin.answers == []
    assert world.location.updates == []


# SIP users: a name in one domain, a password of their own, of which only HA1s are known


def softphone(world: World, name: str = "anna", password: str = "secret") -> Device:
    """What its owner has set up: name, domain and password."""
    device = Device(world, user(name, password=password))
    device.account = replace(device.account, password=password)
    device.to = f"sip:{name}@{DOMAIN}"
    return device


@every(
    ("to", "uri", "status"),
    [
        pytest.param(f"sip:anna@{DOMAIN}", f"sip:{DOMAIN}", 200, id="its name"),
        pytest.param(f"sip:300@{DOMAIN}", f"sip:{DOMAIN}", 200, id="its number"),
        pytest.param(f"sip:anna@{DOMAIN}", "sip:192.0.2.10:5070", 200, id="by the address of the service"),
        pytest.param(f"sip:200@{DOMAIN}", f"sip:{DOMAIN}", 403, id="another number"),
        pytest.param(f"sip:anna@{SERVICE}", f"sip:{DOMAIN}", 403, id="at the name of the service"),
        pytest.param("sip:anna@192.0.2.10", f"sip:{DOMAIN}", 403, id="at the address of the service"),
        pytest.param("sip:anna@rival.test", f"sip:{DOMAIN}", 403, id="in another domain"),
        pytest.param(f"sip:anna@{DOMAIN}", "sip:rival.test", 403, id="at another domain"),
    ],
)
async def test_a_sip_user_registers_itself_in_its_domain(to: str, uri: str, status: int) -> None:
    world = World(user())
    device = softphone(world)
    await device.register(None)
    device.to, device.uri = to, uri
    assert (await device.send()).status == status
    assert bool(world.snapshot("u7").bindings) is (status == 200)
    assert world.people.locks == 0


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("anna", "wrong", id="a wrong password"),
        pytest.param("bent", "secret", id="nobody"),
        pytest.param("u" * 32, "secret", id="a name that only a phone may have"),
    ],
)
async def test_a_sip_user_is_not(name: str, password: str) -> None:
    world = World(user(), user("u" * 32, id="u8"))
    answer = await softphone(world, name, password).register()
    assert answer.status == 401 and not is_stale(answer)
    assert world.location.updates == []


async def test_a_sip_user_of_another_domain_with_the_same_name_is_somebody_else() -> None:
    world = World(user(), user(id="u8", domain="rival.test", password="other"))
    assert (await softphone(world, password="other").register()).status == 401
    assert (await softphone(world).register()).status == 200
    assert world.snapshot("u8").version == 0


@pytest.mark.parametrize("account", [user(), phone(by_domain=True)], ids=["a user", "a device"])
async def test_the_networks_of_the_domain_decide_and_nothing_is_locked(account: Phone) -> None:
    inside = replace(account, networks=(ip_network("198.51.100.0/28"), ip_network("2001:db8::/64")))
    world = World(inside)

    def device(address: str) -> Device:
        made = softphone(world) if account.is_user else Device(world)
        made.address = made.call_id = address
        return made

    assert (await device(HOME).register()).status == 200
    assert (await device(f"::ffff:{HOME}").register()).status == 200
    assert await device(ELSEWHERE).register() == Answer(403)
    assert await device("2001:db8:0:1::1").register() == Answer(403)
    assert world.location.status[inside.id]["lastRejectedReason"] == "untrusted-network"
    assert world.location.status[inside.id]["reason"] == "registered"
    assert world.people.locks == 0
    assert world.people.rows[inside.id].mode is IpMode.OPEN


async def test_a_sip_user_who_is_refused_and_offline_says_why() -> None:
    world = World(user(networks=(ip_network("10.0.0.0/8"),)))
    assert await softphone(world).register() == Answer(403)
    assert world.location.status["u7"]["reason"] == "ip-rejected"
    assert world.events() == ["rejected"]


# Nonces


async def test_a_refresh_with_the_next_count_needs_no_challenge() -> None:
    device = Device(World(LOCKED))
    await device.register()
    assert (await device.send()).status == 200


@pytest.mark.parametrize("minutes", [5, 60])
async def test_an_expired_nonce_is_stale_and_the_next_one_is_good(minutes: int) -> None:
    world = World(LOCKED)
    device = Device(world)
    await device.register()
    world.clock.now += 60 * minutes
    stale = await device.send()
    assert is_stale(stale)
    device.take(stale)
    assert (await device.send()).status == 200


async def test_a_digest_with_an_old_nonce_is_not_checked() -> None:
    """It would be a guess that nobody counts; RFC 7616 section 3.3: stale says that the nonce is invalid."""
    world = World(LOCKED)
    device = Device(world)
    await device.register()
    world.clock.now += 301
    device.account = phone(password="wrong")
    assert is_stale(await device.send())
    assert not world.pauses


async def test_a_nonce_that_was_issued_to_another_address_is_stale() -> None:
    world = World()
    device = Device(world)
    device.take(await device.send())
    device.address = ELSEWHERE
    assert is_stale(await device.send())
    assert world.people.rows["id-u"].mode is IpMode.OPEN, "a sniffed answer cannot lock"


@pytest.mark.parametrize("of", ["the same node", "another node"])
async def test_a_captured_authorization_is_spent(of: str) -> None:
    world = World(LOCKED)
    device = Device(world)
    await device.register()
    before = world.snapshot()
    device.count -= 1
    device.world = world if of == "the same node" else World(node="b", beside=world)
    assert is_stale(await device.send())
    assert world.snapshot() == before


async def test_of_many_requests_with_one_count_exactly_one_passes() -> None:
    world = World(LOCKED)
    nodes = [world, World(node="b", beside=world)]
    device = Device(world)
    device.take(await device.send())
    messages = []
    for _ in range(20):
        device.cseq, device.count = device.cseq + 1, 0
        messages.append(device.build(600))
    answers = await asyncio.gather(*(nodes[n % 2].serve(m, HOME) for n, m in enumerate(messages)))
    statuses = [answer.status for answer in answers if isinstance(answer, Answer)]
    assert statuses.count(200) == 1
    assert statuses.count(401) == 19


# Where it is


async def test_the_first_contact_locks_and_the_next_address_is_refused() -> None:
    world = World()
    assert (await Device(world).register()).status == 200
    assert world.people.rows["id-u"].address == HOME
    assert await Device(world, address=ELSEWHERE, contact="10.0.0.8").register() == Answer(403)
    assert (await Device(world, contact="10.0.0.9").register()).status == 200


async def test_of_two_first_contacts_at_once_one_wins_and_the_loser_gets_403() -> None:
    world = World()
    other = World(node="b", beside=world)
    devices = [Device(world), Device(other, address=ELSEWHERE, contact="10.0.0.8")]
    answers = await asyncio.gather(*(device.register() for device in devices))
    assert sorted(answer.status for answer in answers) == [200, 403]
    assert world.people.rows["id-u"].mode is IpMode.LOCKED
    assert len(world.snapshot().bindings) == 1
    assert world.events().count("locked") == 1


@pytest.mark.parametrize("expires", [None, 0])
async def test_a_question_or_a_removal_is_no_first_contact(expires: int | None) -> None:
    world = World()
    assert (await Device(world).register(expires)).status == 200
    assert world.people.rows["id-u"].mode is IpMode.OPEN


async def test_a_phone_that_was_reset_while_it_was_locked_is_asked_again() -> None:
    world = World()
    world.people.rows["id-u"] = phone(secret_version=2, version=2)
    device = Device(world)
    device.take(await device.send())
    assert is_stale(await device.send())
    assert world.snapshot().bindings == ()


async def test_a_phone_that_was_deleted_while_it_was_locked_is_asked_again() -> None:
    world = World()
    world.people.rows.clear()
    device = Device(world)
    device.take(await device.send())
    assert is_stale(await device.send())


@pytest.mark.parametrize(
    ("account", "address", "reason"),
    [
        pytest.param(LOCKED, ELSEWHERE, "ip-locked", id="LOCKED elsewhere"),
        pytest.param(ROAMING, ELSEWHERE, "country-refused", id="ROAMING abroad"),
        pytest.param(ROAMING, "10.9.9.9", "country-unknown", id="ROAMING nowhere"),
        pytest.param(phone(active=False), HOME, "customer-inactive", id="a blocked customer"),
    ],
)
async def test_a_refusal_says_no_more_than_forbidden_and_is_noted(
    account: Phone, address: str, reason: str
) -> None:
    world = World(account)
    assert await Device(world, address=address).register() == Answer(403)
    status = world.location.status["id-u"]
    assert (status["lastRejectedIp"], status["lastRejectedReason"]) == (address, reason)
    assert world.events() == ["rejected"]
    assert len(world.snapshot().nonces) == 1


async def test_a_refusal_does_not_touch_what_is_bound() -> None:
    world = World(LOCKED)
    await Device(world).register()
    bound = world.snapshot().bindings
    await Device(world, address=ELSEWHERE, contact="10.0.0.8").register(0)
    assert world.snapshot().bindings == bound
    assert world.location.status["id-u"]["online"] == "1"


async def test_the_same_refusal_is_one_event_in_five_minutes() -> None:
    world = World(LOCKED)
    device = Device(world, address=ELSEWHERE)
    await device.register()
    for _ in range(10):
        world.clock.now += 20
        assert await device.send() == Answer(403)
    assert world.events() == ["rejected"]


async def test_without_a_country_file_only_roaming_is_refused() -> None:
    def missing(_address: str) -> str | None:
        raise StoreUnavailable("there is no country file")

    world = World(ROAMING, phone("o"), phone("l", mode=IpMode.LOCKED, address=HOME))
    world.country = missing
    statuses = [(await Device(world, phone(name)).register()).status for name in ("u", "o", "l")]
    assert statuses == [403, 200, 200]
    assert world.location.status["id-u"]["lastRejectedReason"] == "no-country-file"


# Others write too


async def test_somebody_who_is_faster_costs_a_second_try() -> None:
    world = World(LOCKED)
    world.location.rivals = 2
    assert (await Device(world).register()).status == 200
    assert world.location.rivals == 0


async def test_after_three_conflicts_the_phone_is_told_to_come_back() -> None:
    world = World(LOCKED)
    world.location.rivals = 3
    answer = await Device(world).register()
    assert answer == BUSY
    assert int(dict(answer.headers)["Retry-After"]) > 0
    assert world.snapshot().bindings == ()


async def test_a_later_request_waits_for_the_one_before() -> None:
    """Section 10.3: in the order of their arrival."""
    world = World(LOCKED)
    device = Device(world)
    device.take(await device.send())
    messages = []
    for expires in (600, 0):
        device.cseq += 1
        messages.append(device.build(expires))
    answers = await asyncio.gather(*map(world.serve, messages))
    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [200, 200]
    assert world.snapshot().bindings == ()


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(LOCKED, secret_version=2), id="it was reset"),
        pytest.param(replace(LOCKED, id="id-other"), id="another one has its name"),
    ],
)
async def test_who_changed_while_a_request_waited_for_its_turn_is_asked_again(now: Phone) -> None:
    """What was re-checked when it changed would otherwise be bound again by a request proved before."""
    world = World(LOCKED)
    first, second = Device(world), Device(world, contact="10.0.0.8")
    for device in (first, second):
        device.take(await device.send())

    async def changed() -> None:
        world.location.before_commit = None
        await asyncio.sleep(0)
        world.people.known = {now.id: now}

    world.location.before_commit = changed
    one, other = await asyncio.gather(first.send(), second.send())
    assert one.status == 200
    assert is_stale(other)
    assert [bound.contact for bound in world.snapshot().bindings] == ["sip:200@10.0.0.7"]


async def test_one_that_was_cancelled_lets_the_next_go_on() -> None:
    world = World(LOCKED)
    device = Device(world)
    device.take(await device.send())
    digest_check = asyncio.Event()

    async def wait() -> None:
        await digest_check.wait()

    world.location.before_commit = wait
    messages = []
    for _ in range(3):
        device.cseq += 1
        messages.append(device.build(600))
    tasks = [asyncio.create_task(world.serve(message)) for message in messages]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks[0].cancel()
    digest_check.set()
    answer = await asyncio.wait_for(tasks[2], limit(1))
    assert isinstance(answer, Answer) and answer.status == 200


# Stores that are away (decision 4)


async def registered(world: World) -> Device:
    device = Device(world)
    assert (await device.register(3_600)).status == 200
    return device


async def test_without_redis_a_refresh_is_granted_a_minute() -> None:
    world = World(LOCKED)
    device = await registered(world)
    world.location.away = True
    world.clock.now += 50
    answer = await device.send(3_600)
    assert (answer.status, contacts(answer)) == (200, ["<sip:200@10.0.0.7>;expires=60"])
    promised = world.location.promised["id-u"].after
    assert promised.bindings[0].expires_at == int(world.clock.now) + 60
    assert promised.nonces[0].count == device.count


@pytest.mark.parametrize(
    ("expires", "contact"),
    [
        pytest.param(3_600, ["<sip:200@10.0.0.8>"], id="a new binding"),
        pytest.param(3_600, ["<sip:200@10.0.0.7>", "<sip:200@10.0.0.8>"], id="a new one beside a refresh"),
        pytest.param(0, ["<sip:200@10.0.0.7>"], id="a removal"),
        pytest.param(0, ["*"], id="a removal of all"),
        pytest.param(None, [], id="a question"),
        pytest.param(30, ["<sip:200@10.0.0.7>"], id="one that is too brief"),
    ],
)
async def test_without_redis_all_else_is_503(expires: int | None, contact: list[str]) -> None:
    world = World(LOCKED)
    device = await registered(world)
    world.location.away = True
    assert await device.send(expires, *contact) == BUSY
    assert world.location.promised == {}


async def test_without_redis_a_binding_of_another_node_is_503() -> None:
    world = World(LOCKED)
    device = await registered(world)
    device.world = World(node="b", beside=world)
    world.location.away = True
    assert await device.send() == BUSY


async def test_without_redis_a_binding_that_has_run_out_is_503() -> None:
    world = World(LOCKED)
    device = Device(world)
    await device.register(60)
    world.clock.now += 60
    world.location.away = True
    assert await device.send() == BUSY


async def test_without_redis_nothing_is_locked() -> None:
    world = World()
    world.location.away = True
    assert await Device(world).register() == BUSY
    assert world.people.locks == 0


async def test_without_redis_a_refusal_stays_one() -> None:
    world = World(LOCKED)
    world.location.away = True
    assert await Device(world, address=ELSEWHERE).register() == Answer(403)


async def test_without_a_database_an_unknown_phone_is_503_and_not_401() -> None:
    world = World()
    device = Device(world)
    device.take(await device.send())
    world.people.away = True
    assert await device.send() == BUSY
    world.people.away = False
    device.count, device.world.people.known = 0, dict(world.people.rows)
    assert (await device.send()).status == 200


async def test_without_a_database_the_first_contact_is_503() -> None:
    world = World()
    device = Device(world)
    device.take(await device.send())

    async def unplug() -> None:
        world.people.away = True

    world.location.before_commit = unplug
    assert await device.send() == BUSY
    assert world.snapshot().bindings == ()


async def test_a_lock_is_told_even_when_its_request_is_refused() -> None:
    """An OPEN phone with a binding of before: the lock stands, the REGISTER is out of order."""
    world = World(LOCKED)
    device = await registered(world)
    for table in (world.people.rows, world.people.known):
        table["id-u"] = replace(table["id-u"], mode=IpMode.OPEN, version=9)
    device.cseq = 0
    assert (await device.send()).status == 400
    assert world.people.rows["id-u"].mode is IpMode.LOCKED
    assert "locked" in world.events()
