"""Authorized requests that were captured, changed, or not yet sent."""

import hashlib
import re
import secrets

from tests.peers.phone import Answer, BlockingPhone, branch_of


def stale(answer: Answer) -> bool | None:
    """Whether the 401 says that only the nonce was wrong."""
    assert answer.status == 401, answer
    return answer.challenges[0].stale


def authorized(phone: BlockingPhone, answer: Answer) -> bytes:
    """A REGISTER that answers this challenge, not yet sent."""
    assert phone.caller.learn(answer)
    line = phone.caller.credentials("REGISTER", f"sip:{phone.caller.account.domain}")
    return phone.caller.register(extra=[line])


def anew(request: bytes) -> bytes:
    """The same request under a new branch: everything else is as captured."""
    return request.replace(branch_of(request), b"z9hG4bK" + secrets.token_hex(8).encode())


def signed_again(phone: BlockingPhone, request: bytes, **changes: str) -> bytes:
    """The authorized REGISTER with other parameters (nonce, nc), rightly signed, and a new branch."""
    before, name, text = request.partition(b"Authorization: Digest ")
    line, after = text.split(b"\r\n", 1)
    found = re.findall(r'(\w+)=("?)([^",]+)', line.decode())
    values = {key: value for key, _, value in found} | changes
    account = phone.caller.account
    ha1 = _md5(f"{account.username}:{values['realm']}:{account.password}")
    ha2 = _md5(f"REGISTER:{values['uri']}")
    values["response"] = _md5(
        f"{ha1}:{values['nonce']}:{values['nc']}:{values['cnonce']}:{values['qop']}:{ha2}"
    )
    written = ", ".join(f"{key}={quote}{values[key]}{quote}" for key, quote, _ in found)
    return anew(before + name + written.encode() + b"\r\n" + after)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
