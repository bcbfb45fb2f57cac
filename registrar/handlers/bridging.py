"""The session descriptions of a call on their way: what is taken out, and what the relay makes of them."""

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

ANY_ENGINE: Final = "-"
"""In place of an engine while none has the session."""


class Bridge:
    """Asks the media relay, where a call needs one."""

    def __init__(self, media: Media, policy: MediaPolicy, prefix: str) -> None:
        """`prefix` begins the name of every session of this installation at the relay."""
        self._prefix = prefix
        self._media = media
        self._policy = policy
        self.habits = Habits()
        self.offers = Offers()

    @property
    def translates(self) -> bool:
        """Whether media may go through a relay: then the kinds and the addresses of two phones matter."""
        return self._media.configured and self._policy is not MediaPolicy.NEVER

    def relay(self, call: str, branch: int, offerer: Side, answerer: Side) -> str:
        """The session that the media of a branch needs, empty when it needs none. Raises MediaRefused."""
        plan = rules.plan(self._policy, offerer, answerer, self._media.configured)
        if isinstance(plan, rules.Impossible):
            raise MediaRefused(plan.text)
        return f"{ANY_ENGINE} {self._prefix}{call}.{branch}" if isinstance(plan, rules.Relayed) else ""

    async def offer(
        self, sdp: bytes, legs: Legs, relay: str, *, from_tag: str, to_tag: str, secret: str
    ) -> tuple[bytes, str]:
        """An offer of the side that `legs` calls `mine`, as the other shall see it; and the relay's session.

        Raises MediaRefused, StoreUnavailable.
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
        """An answer, as the offerer shall see it; `from_tag` is the offerer's. Raises like `offer`."""
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
        """The session is not needed any more."""
        if relay:
            engine, session = _parted(relay)
            self._media.delete(session, engine)


def _parted(relay: str) -> tuple[str, str]:
    """Engine, empty when none has it yet, and session of a relay as tokens carry it."""
    engine, _, session = relay.partition(" ")
    return "" if engine == ANY_ENGINE else engine, session


def has_sdp(message: Message) -> bool:
    """Whether the body is a session description, or has one among its parts."""
    if not message.body:
        return False
    content_type = message.headers.get("content-type")
    if sdp_rules.is_sdp(content_type):
        return True
    return is_multipart(content_type) and sdp_span(content_type or "", message.body) is not None


def sdp_of(message: Message) -> bytes:
    """The session description of a message that has one."""
    content_type = message.headers.get("content-type") or ""
    span = sdp_span(content_type, message.body) if is_multipart(content_type) else None
    return message.body if span is None else message.body[span[0] : span[1]]


def packed(message: Message, made: bytes, secret: str, shown: str, *, alone: bool) -> tuple[bytes, Extra]:
    """The body with `made` in the place of its description, and the headers that go with it.

    `alone`: without the other parts of the body, which no browser reads.
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
    """An offer without the sender's name, and without what one of the two may not use."""
    sdp = sdp_rules.without_names(sdp, secret)
    if not legs.video:
        sdp = sdp_rules.without_video(sdp)
    return sdp if legs.hd_audio else sdp_rules.narrowband(sdp)


def other_body(body: bytes, secret: str, shown: str) -> bytes:
    """A body that is no session description, without the sender's name."""
    return body.replace(secret.encode(), shown.encode()) if secret and body else body


def quick_sdp(sdp: bytes, both: Legs | None, secret: str, *, is_offer: bool) -> bytes:
    """A session description that passes no relay; `both` as its sender sees them."""
    if is_offer and both is not None:
        return offered(sdp, both, secret)
    return sdp_rules.without_names(sdp, secret)
