"""registrar/store/vault.py: a text sealed for one owner with one key opens for nobody else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import StoreUnavailable
from registrar.store.keyring import Keyring, fingerprint
from registrar.store.vault import Vault, derive
from tests.every import every

KEY = "secret key of the tests, long enough for all"
VAULT = Vault(KEY)


@given(secret=st.text(max_size=64), owner=st.text(max_size=30))
def test_what_was_sealed_opens(secret: str, owner: str) -> None:
    assert VAULT.open(VAULT.seal(secret, owner), owner) == secret


def test_the_same_secret_never_looks_the_same() -> None:
    assert len({VAULT.seal("secret", "owner") for _ in range(50)}) == 50


SEALED = VAULT.seal("secret", "owner")
TURNED = base64.b64encode(
    bytes([base64.b64decode(SEALED[3:])[0] ^ 1]) + base64.b64decode(SEALED[3:])[1:]
).decode()


@every(
    ("vault", "stored", "owner"),
    [
        pytest.param(Vault(KEY + "!"), SEALED, "owner", id="with another key"),
        pytest.param(VAULT, SEALED, "another", id="for another owner"),
        pytest.param(VAULT, "v1:" + TURNED, "owner", id="with one bit turned"),
        pytest.param(VAULT, SEALED[:-8], "owner", id="cut off"),
        pytest.param(VAULT, "v2:" + SEALED[3:], "owner", id="in another format"),
        pytest.param(VAULT, "v1:", "owner", id="when there is nothing"),
        pytest.param(VAULT, "v1:AAAA", "owner", id="when it is too short"),
        pytest.param(VAULT, "secret", "owner", id="when it was never sealed"),
        pytest.param(VAULT, "sécret", "owner", id="outside ASCII"),
    ],
)
def test_nothing_opens(vault: Vault, stored: str, owner: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        vault.open(stored, owner)
    assert stored not in str(caught.value)


def test_one_key_gives_one_key_for_each_purpose() -> None:
    assert derive(KEY, "nonces", 33) == derive(KEY, "nonces", 33)
    assert len({derive(key, purpose) for key in (KEY, KEY + "!") for purpose in ("nonces", "to-tags")}) == 4
    assert Vault(KEY).fingerprint == VAULT.fingerprint != Vault(KEY + "!").fingerprint
    assert KEY not in VAULT.fingerprint


def test_a_text_of_the_other_key_opens_and_new_ones_name_their_key() -> None:
    keys = Keyring(KEY + "!", KEY)
    keys.use(active=fingerprint(KEY))
    vault = Vault(keys)
    before = vault.seal("secret", "owner")
    keys.use(active=fingerprint(KEY + "!"), rotated=True)
    after = vault.seal("secret", "owner")
    assert (before[:3], after[:20]) == ("v1:", f"v2:{fingerprint(KEY + '!')}:"[:20])
    assert {vault.open(before, "owner"), vault.open(after, "owner")} == {"secret"}
    with pytest.raises(StoreUnavailable):
        VAULT.open(after, "owner")
