"""What the paths of the listener for phones name: any octets give a value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.provisioning.paths import (
    MAX_PATH,
    Authority,
    Bare,
    Link,
    Named,
    OfSecret,
    parse_path,
    without_secret,
)
from config.provisioning.secrets import (
    digest,
    is_device_token,
    new_admin_password,
    new_secret,
)
from tests.every import every

SECRET = "abcdefghijklmnopqrstuvwxyz"
TOKEN = "0123456789abcdef012345678"


@every(
    ("path", "named"),
    [
        (f"/p/{SECRET}/000413922D24.xml", OfSecret(SECRET, "000413922D24.xml")),
        (f"/p/{SECRET}/a/logo.png", OfSecret(SECRET, "a/logo.png")),
        (f"//p///{SECRET}//x.cfg", OfSecret(SECRET, "x.cfg")),
        (f"/o/{SECRET}", Link(SECRET)),
        ("/startup.cfg", Bare("startup.cfg")),
        ("/42/2/master.bin", Bare("42/2/master.bin")),
        ("/ca.pem", Authority()),
        ("/", None),
        ("", None),
        ("*", None),
        ("http://a/b", Bare("b")),
        (f"HTTPS://a:443/p/{SECRET}/x.cfg", OfSecret(SECRET, "x.cfg")),
        ("http://a", None),
        ("http:///", None),
        ("ftp://a/b", None),
        ("/http://a/b", None),
        (f"/p/{SECRET}", None),
        (f"/p/{SECRET}/", None),
        (f"/o/{SECRET}/x", None),
        (f"/p/{SECRET}/../secret.key", None),
        (f"/p/{SECRET}/..%2fsecret.key", None),
        (f"/p/{SECRET}/a/.hidden", None),
        ("/%00", None),
        ("/a\0b", None),
        ("/a b", None),
        ("/\u00e6", None),
        ("/" + "a" * MAX_PATH, None),
        ("/" + "a" * 65_536, None),
    ],
)
def test_a_path_names_one_thing(path: str, named: Named | None) -> None:
    assert parse_path(path.encode()) == named


@given(st.binary(max_size=200) | st.from_regex(r"/[po]/[a-z./%]*", fullmatch=True).map(str.encode))
def test_any_octets_give_a_value_that_leads_nowhere_else(octets: bytes) -> None:
    named = parse_path(octets)
    if isinstance(named, OfSecret | Bare):
        assert re.fullmatch(r"[A-Za-z0-9._~+/-]+", named.name)
        assert not any(word.startswith(".") for word in named.name.split("/"))


@pytest.mark.parametrize("base", ["/prov", "/a/prov"])
def test_the_path_of_the_url_is_left_out(base: str) -> None:
    for path in ("/startup.cfg", f"/p/{SECRET}/x.cfg", f"/o/{SECRET}", "/ca.pem", "/", "/provision.xml"):
        named = parse_path(path.encode())
        assert parse_path(f"{base}{path}".encode(), base) == named
        assert parse_path(f"/{base}/{path}".encode(), base) == named
        assert parse_path(path.encode(), base) == named, "a proxy has left it out"
    assert parse_path(f"{base}x/y".encode(), base) == Bare(f"{base}x/y"[1:])
    assert parse_path(base.encode() + b"/../p/s/x", base) is None


def test_a_log_line_has_no_secret() -> None:
    for path in (f"/p/{SECRET}/x.cfg", f"/o/{SECRET}", f"/p/{SECRET}/", f"/p/{SECRET}"):
        assert SECRET not in without_secret(parse_path(path.encode()))
    for path in (f"/prov/p/{SECRET}/x.cfg", f"/p/x/p/{SECRET}/x.cfg", f"/p/{SECRET}/p/{SECRET}/x.cfg",
                 f"/prov/o/{SECRET}", f"/{SECRET}", f"/p/x/{SECRET.upper()}", f"/x/{TOKEN}",
                 f"/p/x/{SECRET}.cfg"):  # fmt: skip
        shown = without_secret(parse_path(path.encode()))
        assert SECRET not in shown.lower() and TOKEN not in shown and "..." in shown
    assert without_secret(parse_path(b"/p/s/x.cfg")) == "/p/.../x.cfg"
    assert without_secret(parse_path(b"/p/s/a/logo.png")) == "/p/.../logo.png"
    assert without_secret(Bare("42/2/master.bin")) == "/.../master.bin"
    assert without_secret(Bare("startup.cfg")) == "/startup.cfg"
    assert without_secret(Authority()) == "/ca.pem"


def test_secrets_are_random_and_can_be_typed() -> None:
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch("[a-z2-7]{26}", secret) for secret in made)
    assert re.fullmatch("[0-9]{10}", new_admin_password())


def test_only_the_hash_of_a_secret_is_looked_up() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert is_device_token("0123456789abcdef012345678") and not is_device_token(SECRET)
