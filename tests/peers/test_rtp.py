"""The listener of the media tests can tell a tone from silence, an echo, a crossed leg and noise."""

import math
import random
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.peers import rtp
from tests.peers.process import wait_until
from tests.peers.rtp import RATE, RtpParty, assert_talk, audio_address, goertzel, level


def wave(*tones: float, amplitude: float = 8000) -> list[int]:
    samples = range(RATE)
    return [
        round(sum(amplitude * math.sin(2 * math.pi * tone * number / RATE) for tone in tones))
        for number in samples
    ]


def test_a_tone_is_all_its_energy_and_no_other() -> None:
    assert goertzel(wave(440), 440) > 0.999
    assert goertzel(wave(440), 700) < 0.001
    assert 0.45 < goertzel(wave(440, 700), 440) < 0.55
    assert goertzel([random.randint(-8000, 8000) for _ in range(RATE)], 440) < 0.05
    assert goertzel([0] * RATE, 440) == 0


def test_the_level_of_silence_is_none() -> None:
    assert level([]) == level([0] * 100) == 0
    assert 5600 < level(wave(440)) < 5700


@pytest.mark.parametrize(
    ("table", "code", "sample"),
    [
        pytest.param(rtp.FROM_ULAW, 0xFF, 0, id="u-law zero"),
        pytest.param(rtp.FROM_ULAW, 0x80, 32_124, id="u-law loudest"),
        pytest.param(rtp.FROM_ULAW, 0x00, -32_124, id="u-law lowest"),
        pytest.param(rtp.FROM_ALAW, 0xD5, 8, id="A-law least"),
        pytest.param(rtp.FROM_ALAW, 0xAA, 32_256, id="A-law loudest"),
        pytest.param(rtp.FROM_ALAW, 0x2A, -32_256, id="A-law lowest"),
    ],
)
def test_g711_as_the_itu_has_it(table: tuple[int, ...], code: int, sample: int) -> None:
    assert table[code] == sample


def test_what_is_coded_is_nearly_what_is_heard() -> None:
    frames = b"".join(rtp._tone(440))
    heard = [rtp.FROM_ULAW[code] for code in frames]
    assert goertzel(heard, 440) > 0.999
    assert 8_300 < level(heard) < 8_700


@pytest.fixture
def parties() -> Iterator[tuple[RtpParty, RtpParty]]:
    with RtpParty("127.0.0.1", 440) as one, RtpParty("127.0.0.1", 700) as other:
        yield one, other


def test_two_that_know_each_other_talk(parties: tuple[RtpParty, RtpParty]) -> None:
    one, other = parties
    one.follow(other.sdp())
    other.follow(one.sdp())
    assert_talk(one, other, 0.5)


def test_an_echo_is_no_talk(parties: tuple[RtpParty, RtpParty]) -> None:
    one, other = parties
    one.remote, other.remote = one.address, other.address
    with pytest.raises(AssertionError, match="does not hear"):
        assert_talk(one, other, 0.5)


def test_one_who_hears_nothing_is_named(parties: tuple[RtpParty, RtpParty]) -> None:
    one, other = parties
    one.remote = other.address
    with pytest.raises(AssertionError, match="heard nothing"):
        one.wait_heard(0.2)


def test_rtcp_extensions_and_padding_are_no_sound(parties: tuple[RtpParty, RtpParty]) -> None:
    one, _ = parties
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"\x80\xc8" + b"\x00" * 26, one.address)
        sender.sendto(b"short", one.address)
        head = struct.pack("!BBHIII", 0xB1, 0, 1, 1, 7, 8)  # padding, an extension, one CSRC
        sender.sendto(head + b"\xbe\xde\x00\x01abcd" + b"\x00" * 3 + b"\x00\x02", one.address)
        wait_until(lambda: one._heard.packets > 0, "the packet is heard", 4)
        heard = one._heard
    assert (heard.packets, heard.ssrcs, heard.payloads) == (1, {7}, {0})
    assert heard.samples == [-32_124] * 3


def test_the_address_of_a_stream_is_its_own_or_that_of_all() -> None:
    head = b"v=0\r\nc=IN IP4 10.0.0.1\r\n"
    assert audio_address(head + b"m=audio 4 RTP/AVP 0\r\nm=video 6 X 9\r\nc=IN IP4 10.0.0.3\r\n") == (
        "10.0.0.1",
        4,
    )
    assert audio_address(head + b"m=audio 4 RTP/AVP 0\r\nc=IN IP4 10.0.0.2\r\n") == ("10.0.0.2", 4)
