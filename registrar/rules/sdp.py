"""Queries and changes of a session description, line by line (RFC 8866).

Every function accepts any bytes, changes only lines that it knows, and keeps all others unchanged.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

from registrar.model import LegKind

CONTENT_TYPE: Final = "application/sdp"

MIN_UNIQUE: Final = 16
"""A username of this many octets (ours have 32) does not occur in an SDP by chance."""
_FILLERS: Final = (b"-", b"_", b".", b"~", b"*", b"+", b"!", b"?")

_DTLS: Final = re.compile(rb"(?:(?:UDP|TCP)/TLS/RTP/|(?:(?:UDP|TCP)/)?DTLS/)", re.IGNORECASE)
_FEEDBACK_OVER_SRTP: Final = b"RTP/SAVPF"
"""The profile of the first browsers; with a fingerprint it means DTLS, too (RFC 8842 section 5)."""
_SECURE: Final = frozenset({b"RTP/SAVP", b"RTP/SAVPF"})
_COMMON_SUITES: Final = (b" AES_CM_128_HMAC_SHA1_80 ", b" AES_CM_128_HMAC_SHA1_32 ")
"""The suites that every phone with SDES has (RFC 4568 section 6.2); a media engine offers a dozen."""
_REJECTED: Final = b"0"

_NARROW_RATE: Final = b"8000"
_WIDE_AT_8000: Final = frozenset({b"g722"})
"""Codecs sampled at 16 kHz with an 8 kHz clock for historical reasons (RFC 3551 section 4.5.2)."""
_WIDE_STATIC: Final = frozenset({b"6", b"9", b"10", b"11", b"14", b"16", b"17"})
"""Payload types that need no rtpmap (RFC 3551 table 4): DVI4 above 8 kHz, G722, L16, MPA."""
_NO_SPEECH: Final = frozenset({b"telephone-event", b"cn", b"red"})
_NO_SPEECH_STATIC: Final = frozenset({b"13", b"19"})
_REPAIR: Final = frozenset({b"rtx", b"red", b"ulpfec", b"flexfec-03"})
"""Formats that repair other video: half of a browser's list, and no desk phone accepts them."""

_OF_BROWSERS: Final = frozenset(
    b"extmap extmap-allow-mixed msid msid-semantic ssrc ssrc-group rtcp-fb rtcp-rsize rid simulcast mid "
    b"bundle-only group:bundle".split()
)
_KEPT_WHEN_REJECTED: Final = (b"m=", b"c=", b"a=mid:")

Lines = list[bytes]


def is_sdp(content_type: str | None) -> bool:
    """Return whether a Content-Type names a session description."""
    return content_type is not None and content_type.partition(";")[0].strip().lower() == CONTENT_TYPE


def leg_kind(sdp: bytes) -> LegKind | None:
    """Return the media kind of its party, or None if it is not a session description or has no media."""
    if not sdp.startswith(b"v="):
        return None
    media = [line for line in sdp.splitlines() if line.startswith(b"m=")]
    protocols = [words[2].upper() for words in map(bytes.split, media) if len(words) > 3]
    if not protocols:
        return None
    small = sdp.lower()
    if any(_DTLS.match(protocol) for protocol in protocols) or (
        _FEEDBACK_OVER_SRTP in protocols and b"\na=fingerprint:" in small
    ):
        return LegKind.WEBRTC if b"\na=ice-ufrag:" in small else LegKind.DTLS
    return LegKind.SRTP if not _SECURE.isdisjoint(protocols) else LegKind.PLAIN


def is_encrypted(sdp: bytes) -> bool:
    """Return whether each stream that is not refused has encrypted media, by SDES or DTLS."""
    _, media = _sections(sdp)
    used = [section[0].split() for section in media if _port(section) != _REJECTED]
    protocols = [words[2].upper() if len(words) > 2 else b"" for words in used]
    return all(protocol in _SECURE or _DTLS.match(protocol) for protocol in protocols)


def media_address(sdp: bytes) -> str:
    """Return the address for the first stream that is not refused; empty if there is none.

    A host name does not count, nor does an unspecified address, which only puts media on hold.
    """
    session, chosen = first_stream(sdp)
    for lines in (chosen, session):
        for line in lines:
            if line.startswith(b"c="):
                return _address(line)
    return ""


def first_stream(sdp: bytes) -> tuple[Lines, Lines]:
    """Return the lines of the session, and those of the first stream that is not refused, if there is one."""
    session, media = _sections(sdp)
    return session, next((section for section in media if _port(section) != _REJECTED), [])


def _port(section: Lines) -> bytes:
    words = section[0].split(None, 2)
    return words[1] if len(words) > 1 else _REJECTED


def _address(line: bytes) -> str:
    words = line[2:].split()
    text = words[2].partition(b"/")[0].decode(errors="replace") if len(words) > 2 else ""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return "" if address.is_unspecified else str(address)


def without_names(sdp: bytes, *usernames: str) -> bytes:
    """Return the SDP without `usernames`, in any letter case; the o= line then has no username.

    See RFC 8866 section 5.2. A short username is searched in the o= line only: `1001` may be a port, too.
    """
    for username in usernames:
        name = username.encode(errors="replace")
        if name and name.lower() in sdp.lower():
            sdp = b"".join(_nobody(line, name) for line in sdp.splitlines(keepends=True))
            sdp = _without_name(sdp, name) if len(name) >= MIN_UNIQUE else sdp
    return sdp


def _without_name(sdp: bytes, name: bytes) -> bytes:
    # The filler is not part of the name, so the filler and the text around it cannot form the name again.
    filler = next((letter for letter in _FILLERS if letter not in name), b"")
    return re.sub(re.escape(name), filler, sdp, flags=re.IGNORECASE)


def _nobody(line: bytes, name: bytes) -> bytes:
    user, space, rest = line.partition(b" ")
    if line.startswith(b"o=") and space and name.lower() in user.lower():
        return b"o=-" + space + rest
    return line


def without_video(sdp: bytes) -> bytes:
    """Return the SDP with all video refused (RFC 3264 section 6) and unbundled (RFC 8843 section 7.3.3)."""
    session, media = _sections(sdp)
    refused: set[bytes] = set()
    for number, section in enumerate(media):
        words = section[0].split(b" ", 2)
        if words[0].lower() == b"m=video" and len(words) == 3:
            refused |= {line[len(b"a=mid:") :].strip() for line in section if line.startswith(b"a=mid:")}
            kept = [line for line in section[1:] if line.startswith(_KEPT_WHEN_REJECTED)]
            media[number] = [b" ".join((words[0], _REJECTED, words[2])), *kept]
    if refused:
        session = [line for line in (_unbundled(line, refused) for line in session) if line]
    return _joined(session, media)


def _unbundled(line: bytes, refused: set[bytes]) -> bytes:
    """Return an a=group line without the refused streams; empty if no stream remains.

    Other lines are unchanged.
    """
    if not line.startswith(b"a=group:"):
        return line
    semantics, *mids = line.split()
    if refused.isdisjoint(mids):
        return line
    left = [mid for mid in mids if mid not in refused]
    return b" ".join((semantics, *left)) + _line_end(line) if left else b""


def narrowband(sdp: bytes) -> bytes:
    """Return the SDP without wideband audio codecs; a stream that has no other speech codec is unchanged."""
    session, media = _sections(sdp)
    for number, section in enumerate(media):
        if section[0].lower().startswith(b"m=audio "):
            narrow = _without_codecs(section, _is_wide)
            media[number] = narrow if any(_is_speech(codec) for codec in _codecs(narrow)) else section
    return _joined(session, media)


def without_hidden_candidates(sdp: bytes) -> bytes:
    """Return the SDP without ICE candidates whose address is an mDNS name of the browser's own network."""
    lines = sdp.splitlines(keepends=True)
    return b"".join(line for line in lines if not _is_hidden(line))


def _is_hidden(line: bytes) -> bool:
    if not line.startswith(b"a=candidate:"):
        return False
    words = line.split(None, 5)
    return len(words) > 4 and words[4].lower().endswith(b".local")


def for_plain(sdp: bytes) -> bytes:
    """Return the SDP without attributes and formats that only browsers use.

    A desk phone has no use for them, and a datagram has no room for them.
    """
    session, media = _sections(sdp)
    for number, section in enumerate(media):
        if section[0].lower().startswith(b"m=video "):
            media[number] = _without_codecs(section, _is_repair)
    lines = [*session, *(line for section in media for line in section)]
    return b"".join(line for line in lines if not _is_of_browsers(line))


def for_srtp(sdp: bytes) -> bytes:
    """Return the SDP of `for_plain` with only the cipher suites that every SRTP phone has."""
    lines = for_plain(sdp).splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"a=crypto:") or _is_common(line))


def _is_common(crypto: bytes) -> bool:
    return any(suite in crypto for suite in _COMMON_SUITES)


def _is_of_browsers(line: bytes) -> bool:
    if not line.startswith(b"a="):
        return False
    words = line[2:].strip().lower().split(None, 1)
    name = words[0] if words else b""
    return name in _OF_BROWSERS or name.partition(b":")[0] in _OF_BROWSERS


# The codecs of one stream

Codec = tuple[bytes, bytes, bytes]
"""Payload type, name in lower case, clock rate; name and rate are empty without an rtpmap."""


def _codecs(section: Lines) -> list[Codec]:
    mapped: dict[bytes, tuple[bytes, bytes]] = {}
    for line in section:
        if line.lower().startswith(b"a=rtpmap:"):
            payload, _, encoding = line[len(b"a=rtpmap:") :].strip().partition(b" ")
            name, rate, *_ = (*encoding.strip().lower().split(b"/"), b"")
            mapped[payload] = (name, rate)
    return [(payload, *mapped.get(payload, (b"", b""))) for payload in section[0].split()[3:]]


def _is_wide(codec: Codec) -> bool:
    payload, name, rate = codec
    if not name:
        return payload in _WIDE_STATIC
    return name in _WIDE_AT_8000 or rate != _NARROW_RATE


def _is_speech(codec: Codec) -> bool:
    payload, name, _ = codec
    return name not in _NO_SPEECH and payload not in _NO_SPEECH_STATIC


def _is_repair(codec: Codec) -> bool:
    return codec[1] in _REPAIR


def _without_codecs(section: Lines, is_unwanted: Callable[[Codec], bool]) -> Lines:
    """Return a stream without the unwanted codecs; unchanged if all of them are unwanted, or none."""
    codecs = _codecs(section)
    unwanted = {codec[0] for codec in codecs if is_unwanted(codec)}
    left = [codec[0] for codec in codecs if codec[0] not in unwanted]
    if not unwanted or not left:
        return section
    head = b" ".join((*section[0].split()[:3], *left)) + _line_end(section[0])
    return [head, *(line for line in section[1:] if _payload(line) not in unwanted)]


_PAYLOAD: Final = re.compile(rb"a=(?:rtpmap|fmtp|rtcp-fb):[ \t]*([^\s]+)", re.IGNORECASE)


def _payload(line: bytes) -> bytes | None:
    """Return the payload type that a line describes, or None."""
    found = _PAYLOAD.match(line)
    return found[1] if found else None


# Lines


def _sections(sdp: bytes) -> tuple[Lines, list[Lines]]:
    """Return the lines of the session, and the lines of each stream, which begin with its m= line."""
    lines = sdp.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(b"m=")]
    ends = [*starts[1:], len(lines)]
    session = lines[: starts[0]] if starts else lines
    return session, [lines[start:end] for start, end in zip(starts, ends, strict=True)] if starts else []


def _joined(session: Lines, media: Sequence[Lines]) -> bytes:
    return b"".join((*session, *(line for section in media for line in section)))


def _line_end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]
