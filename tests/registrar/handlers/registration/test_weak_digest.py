"""A phone that must prove its password by SHA-256: MD5 gets a new challenge, and the operator hears why."""

from dataclasses import replace

from registrar.model import Terms

from ..world import Device, World, phone

WARY = replace(phone("u"), terms=Terms(sha256=True))


async def test_md5_gets_a_challenge_for_sha_256_and_is_no_wrong_password() -> None:
    world = World(WARY)
    device = Device(world, WARY)
    device.take(await device.send())
    answer = await device.send()
    values = [value for name, value in answer.headers if name == "WWW-Authenticate"]
    assert answer.status == 401 and len(values) == 1
    assert "algorithm=SHA-256" in values[0] and "stale=true" not in values[0]
    assert "SHA-256" in answer.why
    assert world.snapshot(WARY.id).bindings == ()
    (refusal,) = world.snapshot(WARY.id).refusals
    assert refusal.reason == "weak-digest"
    assert world.traces.told == [], "the password was right"


async def test_without_the_policy_md5_is_as_good() -> None:
    world = World(phone("u"))
    device = Device(world, phone("u"))
    assert (await device.register()).status == 200
