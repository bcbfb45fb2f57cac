"""The session descriptions of a call: removal of names and codecs, and rewriting by the media relay."""

from typing import Final

from registrar.errors import MediaRefused
from registrar.model import MediaPolicy
from registrar.ports import Media
from registrar.rules import media as rules
from registrar.rules import sdp as sdp_rules
from registrar.rules.legs import Legs
from registrar.rules.media import Side
from registrar.rules.multipart import is_multipart, sdp_span
from registrar.rules.session import Extra
from registrar.sip import Message

from .habits import Habits
from .offers import Offers

NOT_ENCRYPTED: Final = "SDP: a phone of this call may use encrypted media (SRTP) alone"
ANY_ENGINE: Final = "-"
"""Placeholder for the engine while no engine has the session."""


class Bridge:
    """Access to the media relay for calls that need it."""

    def __init__(self, media: Media, policy: MediaPolicy, prefix: str) -> None:
        """Create a bridge; `prefix` begins the name of every session of this installation at the relay."""
        self._prefix = prefix
        self._media = media
        self._policy = policy
        self.habits = Habits()
        self.offers = Offers()

    @property
    def translates(self) -> bool:
        """Return whether media may go through a relay: then kinds and addresses of two phones matter."""
        return self._media.configured and self._policy is not MediaPolicy.NEVER

    def relay(self, call: str, branch: int, offerer: Side, answerer: Side) -> str:
        """Return the relay session for the media of a branch, empty if it needs none. Raises MediaRefused."""
        plan = rules.plan(self._policy, offerer, answerer, self._media.configured)
        if isinstance(plan, rules.Impossible):
            raise MediaRefused(plan.text)
        return f"{ANY_ENGINE} {self._prefix}{call}.{branch}" if isinstance(plan, rules.Relayed) else ""

    async def offer(
        self, sdp: bytes, legs: Legs, relay: str, *, from_tag: str, to_tag: str, secret: str
    ) -> tuple[bytes, str]:
        """Return an offer as the other side must see it, and the session of the relay.

        The offer is from the side that `legs` calls `mine`. Raises MediaRefused and StoreUnavailable.
        """
        sdp = offered(sdp, legs, secret)
        if not relay:
            return sdp, relay
        engine, session = _parted(relay)
        made, engine = await self._media.offer(
            session,
            sdp_rules.without_hidden_candidates(sdp),
            from_tag=from_tag,
            to_tag=to_tag,
            to=legs.other,
            engine=engine,
            family=legs.family,
        )
        return made, f"{engine} {session}"

    async def answer(self, sdp: bytes, relay: str, *, from_tag: str, to_tag: str, secret: str) -> bytes:
        """Return an answer as the offerer must see it; `from_tag` is the offerer's. Raises like `offer`."""
        sdp = sdp_rules.without_names(sdp, secret)
        if not relay:
            return sdp
        engine, session = _parted(relay)
        return await self._media.answer(
            session,
            sdp_rules.without_hidden_candidates(sdp),
            from_tag=from_tag,
            to_tag=to_tag,
            engine=engine,
        )

    def delete(self, relay: str) -> None:
        """Delete a session that is not needed any more."""
        if relay:
            engine, session = _parted(relay)
            self._media.delete(session, engine)


def _parted(relay: str) -> tuple[str, str]:
    """Return the engine and the session of a relay as tokens carry it; the engine may be empty."""
    engine, _, session = relay.partition(" ")
    return "" if engine == ANY_ENGINE else engine, session


def has_sdp(message: Message) -> bool:
    """Return whether the body is a session description, or has one among its parts."""
    if not message.body:
        return False
    content_type = message.headers.get("content-type")
    if sdp_rules.is_sdp(content_type):
        return True
    return is_multipart(content_type) and sdp_span(content_type or "", message.body) is not None


def sdp_of(message: Message) -> bytes:
    """Return the session description of a message that has one."""
    content_type = message.headers.get("content-type") or ""
    span = sdp_span(content_type, message.body) if is_multipart(content_type) else None
    return message.body if span is None else message.body[span[0] : span[1]]


def is_encrypted(message: Message) -> bool:
    """Return whether a message describes media, and all of it is encrypted."""
    return has_sdp(message) and sdp_rules.is_encrypted(sdp_of(message))


def packed(message: Message, made: bytes, secret: str, shown: str, *, alone: bool) -> tuple[bytes, Extra]:
    """Return the body with `made` in the place of its description, and the headers that go with it.

    If `alone`, the other parts of the body are left out: no browser reads them.
    """
    content_type = message.headers.get("content-type") or ""
    span = sdp_span(content_type, message.body) if is_multipart(content_type) else None
    if span is None:
        return made, ()
    if alone:
        return made, (("Content-Type", sdp_rules.CONTENT_TYPE),)
    before, after = message.body[: span[0]], message.body[span[1] :]
    return other_body(before, secret, shown) + made + other_body(after, secret, shown), ()


def offered(sdp: bytes, legs: Legs, secret: str) -> bytes:
    """Return an offer without the sender's name, and without media that one side may not use."""
    sdp = sdp_rules.without_names(sdp, secret)
    if not legs.video:
        sdp = sdp_rules.without_video(sdp)
    return sdp if legs.hd_audio else sdp_rules.narrowband(sdp)


def other_body(body: bytes, secret: str, shown: str) -> bytes:
    """Return a body that is no session description, with the sender's name replaced by `shown`."""
    return body.replace(secret.encode(), shown.encode()) if secret and body else body


def quick_sdp(sdp: bytes, both: Legs | None, secret: str, *, is_offer: bool) -> bytes:
    """Return a session description that passes no relay; `both` are the legs as its sender sees them."""
    if is_offer and both is not None:
        return offered(sdp, both, secret)
    return sdp_rules.without_names(sdp, secret)
