"""Which file names mean something to a phone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from config.provisioning.files import PATTERNS, Meant, asked_mac, config_name, is_common, meant, names
from config.provisioning.render import WRITERS
from tests.config.provisioning.phones import MODELS
from tests.every import every
from tests.patience import SOAK

MAC = "000B828AA872"
BOOTS = {
    "snom": ["000B828AA872.xml"],
    "snom8": ["000B828AA872.xml"],
    "snom-dect": ["000B828AA872.xml"],
    "mitel": ["startup.cfg", "6867i.cfg", "000B828AA872.cfg"],
    "yealink": ["000b828aa872.boot", "000b828aa872.cfg"],
    "yealink-dect": ["000b828aa872.boot", "000b828aa872.cfg"],
    "gigaset-n510": ["000B828AA872.xml"],
    "gigaset-nx70": ["000B828AA872.xml"],
    "maxwell": ["000B828AA872.xml"],
    "grandstream": ["cfg000b828aa872", "cfg000b828aa872.xml"],
    "spa": ["000b828aa872.xml"],
    "mpp": ["000b828aa872.xml"],
    "lg": ["sysconf_LIP-8002_sip.cfg", "000B828AA872"],
}


def test_each_writer_has_its_files() -> None:
    assert set(PATTERNS) == set(WRITERS) == set(BOOTS)


@every("writer", WRITERS)
def test_the_names_that_a_phone_asks_for_at_its_boot(writer: str) -> None:
    assert list(names(writer, MAC, MODELS[writer][1])) == BOOTS[writer]


@every("writer", WRITERS)
def test_one_file_is_the_configuration(writer: str) -> None:
    asked = names(writer, MAC, MODELS[writer][1])
    assert [name for name in asked if meant(writer, MAC, name) is Meant.CONFIG] == [
        config_name(writer, MAC, MODELS[writer][1])
    ]


@every(
    ("writer", "name", "expected"),
    [
        ("snom", "000b828aa872.xml", Meant.CONFIG),
        ("snom", "snomD785-000B828AA872.htm", Meant.CONFIG),
        ("snom", "snomD785.htm", Meant.STUB),
        ("snom", "000B828AA873.xml", None),
        ("snom", "000B828AA872.xml\n", None),
        ("snom", "../000B828AA872.xml", None),
        ("snom", "000B828AA872.cfg", None),
        ("mitel", "startup.cfg", Meant.STUB),
        ("mitel", "aastra.cfg", Meant.STUB),
        ("mitel", "6867i.cfg", Meant.COMMON),
        ("mitel", "000B828AA873.cfg", None),
        ("yealink", "000b828aa872.boot", Meant.COMMON),
        ("yealink", "y000000000000.boot", None),
        ("yealink", "y000000000108.cfg", Meant.STUB),
        ("grandstream", "cfg000b828aa872", None),
        ("grandstream", "dev000b828aa872.cfg", None),
        ("gigaset-nx70", "provisioning.xml", Meant.STUB),
        ("spa", "spa504G.cfg", Meant.STUB),
        ("spa", "PAP2T.cfg", Meant.STUB),
        ("spa", "6867i.cfg", None),
        ("spa", "dev000b828aa872.cfg", None),
        ("mpp", "CP-8841-3PCC.xml", Meant.STUB),
        ("mpp", "cfg.xml", None),
        ("mpp", "cfggxp2170.xml", None),
        ("mpp", "8841-3PCC.xml", Meant.STUB),
        ("mpp", "cfggrp2612.xml", None),
        ("mpp", "000B828AA873.xml", None),
        ("mpp", "7001828AA873.xml", None),
        ("lg", "000B828AA872", Meant.CONFIG),
        ("snom", "a/logo.png", Meant.ASSET),
        ("snom", "a/..", None),
        ("snom", "a/.hidden", None),
        ("snom", "a/b/c.png", None),
        ("snom", "a/" + "x" * 65, None),
        ("snom", "x" * 10_000, None),
        ("no such writer", "000B828AA872.xml", None),
    ],
)
def test_what_a_name_means(writer: str, name: str, expected: Meant | None) -> None:
    assert meant(writer, MAC, name) is expected


@every(
    ("name", "mac"),
    [
        ("cfg000b828aa872.xml", MAC),
        ("000b828aa872.boot", MAC),
        ("000B828AA872", MAC),
        ("snomD785-000b828aa872.htm", MAC),
        ("startup.cfg", None),
        ("y000000000108.cfg", None),
        ("cfg.xml", None),
        ("x" * 1_000, None),
    ],
)
def test_the_address_in_a_name(name: str, mac: str | None) -> None:
    assert asked_mac(name) == mac


@every(
    ("name", "expected"),
    [
        ("startup.cfg", True),
        ("6867i.cfg", True),
        ("y000000000000.boot", True),
        ("provisioning.xml", True),
        ("000b828aa872.cfg", False),
        ("000b828aa872.boot", False),
        ("cfg000b828aa872", False),
        ("secret.key", False),
        ("x" * 1_000 + ".cfg", False),
    ],
)
def test_a_name_without_an_address_is_no_guess(name: str, expected: bool) -> None:
    assert is_common(name) is expected


@settings(max_examples=20_000 if SOAK else 60, deadline=None)
@given(st.sampled_from(sorted(WRITERS)), st.text())
def test_any_name_is_understood_or_not(writer: str, name: str) -> None:
    meaning = meant(writer, MAC, name)
    assert meaning is None or isinstance(meaning, Meant)
    assert asked_mac(name) is None or name.isascii()
