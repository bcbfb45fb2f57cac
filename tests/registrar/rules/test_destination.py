"""registrar/rules/destination.py: the order of what a word means, and the word that a URI dials."""

import pytest

from registrar.model import (
    NO_DESTINATION,
    Called,
    Destination,
    Devices,
    Emergency,
    Feature,
    FeatureKind,
    Group,
    Queue,
)
from registrar.rules.destination import dialled_word, resolve
from registrar.rules.features import reserved_words
from registrar.sip import parse_uri
from tests.every import every

ALL = reserved_words(emergency_numbers=["114"])
ANNA = Devices("200", "Anna", (), "p200")
SALES = Group("g600", "600", "Sales", ())
LINE = Queue("q700", "700", "Line", ())
TAKEN = Devices("999", "An extension from before such numbers were refused")


@every(
    ("word", "found", "destination"),
    [
        pytest.param("112", None, Emergency("112"), id="an emergency number"),
        pytest.param("911", TAKEN, Emergency("911"), id="an emergency number before an extension"),
        pytest.param("999", SALES, Emergency("999"), id="an emergency number before a group"),
        pytest.param("114", None, Emergency("114"), id="an emergency number of the installation"),
        pytest.param("1120", None, NO_DESTINATION, id="a longer number is no emergency"),
        pytest.param("1120", ANNA, ANNA, id="a longer number may be an extension"),
        pytest.param("0112", None, NO_DESTINATION, id="a prefix makes it another number"),
        pytest.param("+112", None, NO_DESTINATION, id="a global number is no emergency number"),
        pytest.param("urn:service:sos", None, Emergency("urn:service:sos"), id="the emergency service"),
        pytest.param(
            "URN:service:SOS.police", None, Emergency("URN:service:SOS.police"), id="the police, in any case"
        ),
        pytest.param("urn:service:sosx", None, NO_DESTINATION, id="another service"),
        pytest.param("urn:service:counseling", None, NO_DESTINATION, id="a service that is not offered"),
        pytest.param("*76", TAKEN, Feature(FeatureKind.DND_TOGGLE, "*76"), id="a code before an extension"),
        pytest.param("*72201", LINE, Feature(FeatureKind.CFU_ON, "*72", "201"), id="a code before a queue"),
        pytest.param("*98", None, NO_DESTINATION, id="an unknown code"),
        pytest.param("*98", ANNA, ANNA, id="an unknown code may be an extension"),
        pytest.param("200", ANNA, ANNA, id="an extension"),
        pytest.param("200", None, NO_DESTINATION, id="an unknown number is no phone number"),
        pytest.param("600", SALES, SALES, id="a group"),
        pytest.param("line", LINE, LINE, id="a queue by its name"),
        pytest.param("c" * 32, Devices("", ""), NO_DESTINATION, id="a phone without a number"),
        pytest.param("", None, NO_DESTINATION, id="nothing"),
    ],
)
def test_the_first_match_wins(word: str, found: Called | None, destination: Destination) -> None:
    assert resolve(word, found, ALL) == destination


def test_codes_that_are_off_are_ordinary_words() -> None:
    none = reserved_words([])
    assert resolve("*76", None, none) is NO_DESTINATION
    assert resolve("*76", ANNA, none) == ANNA
    assert resolve("112", ANNA, none) == Emergency("112")


@every(
    ("uri", "word"),
    [
        pytest.param("sip:200@acme.test;user=phone", "200", id="a SIP URI"),
        pytest.param("sip:%2A72201%23@acme.test", "%2A72201%23", id="escapes stay for the dial plan"),
        pytest.param("sips:anna@acme.test", "anna", id="a SIPS URI"),
        pytest.param("sip:acme.test", "", id="no user"),
        pytest.param("tel:+44-20-7946-0018;phone-context=+44;isub=1", "+44-20-7946-0018", id="a number"),
        pytest.param("TEL:112", "112", id="an emergency number"),
        pytest.param("tel:;isub=1", "", id="no number"),
        pytest.param("urn:service:sos", "urn:service:sos", id="the emergency service"),
        pytest.param("URN:Service:SOS.Police", "urn:service:sos.police", id="the police, in any case"),
        pytest.param("urn:service:counseling", "urn:service:counseling", id="another service"),
        pytest.param("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "", id="another namespace"),
        pytest.param("mailto:anna@acme.test", "", id="another scheme"),
    ],
)
def test_the_word_of_a_uri(uri: str, word: str) -> None:
    assert dialled_word(parse_uri(uri)) == word
