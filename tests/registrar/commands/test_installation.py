"""What phones are told by default, and the listener of the demo."""

import socket

import pytest

from registrar.commands.installation import DEMO_LISTENER, for_demo, lacks_listener, sip_server
from registrar.settings import read
from registrar.transport.local import is_free


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"SIP_UDP": "192.0.2.1:5070"}, ("192.0.2.1", 5070, "udp"), id="the listener"),
        pytest.param({"PUBLIC_HOST": "sip.example.com"}, ("sip.example.com", 5060, "udp"), id="public host"),
        pytest.param(
            {"SIP_UDP": "", "SIP_TCP": "", "SIP_TLS": "192.0.2.1:5071"},
            ("192.0.2.1", 5071, "tls"),
            id="TLS only",
        ),
        pytest.param(
            {"PROV_SIP_SERVER": "edge.example.com", "PROV_SIP_TRANSPORT": "tcp"},
            ("edge.example.com", 5060, "tcp"),
            id="a host",
        ),
        pytest.param(
            {"PROV_SIP_SERVER": "edge.example.com:5080", "SIP_TLS": "", "PROV_SIP_TRANSPORT": "tls"},
            ("edge.example.com", 5080, "tls"),
            id="a host and a port, and no listener here",
        ),
    ],
)
def test_phones_are_told_where_to_register(given: dict[str, str], expected: tuple[str, int, str]) -> None:
    assert sip_server(read({f"REGISTRAR_{name}": value for name, value in given.items()})) == expected


def test_the_demo_has_a_listener_for_phones_unless_the_settings_say_more() -> None:
    demo = for_demo(read({}), lambda *_: True)
    assert (demo.prov_http, demo.prov_plain) == ((DEMO_LISTENER,), True)
    assert demo.prov_url == "http://127.0.0.1:8070"
    off = read({"REGISTRAR_PROV_HTTP": ""})
    assert for_demo(off) is off and off.prov_http == ()
    own = read({"REGISTRAR_PROV_HTTPS": "127.0.0.1:8444", "REGISTRAR_PROV_URL": "https://prov.example.com"})
    assert for_demo(own) is own


def test_the_demo_keeps_a_url_that_is_set() -> None:
    given = read({"REGISTRAR_PROV_URL": "https://prov.example.com"})
    demo = for_demo(given, lambda *_: True)
    assert (demo.prov_http, demo.prov_url) == ((DEMO_LISTENER,), "https://prov.example.com")


def test_the_demo_goes_on_without_its_listener_if_the_port_is_taken() -> None:
    given = read({})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        demo = for_demo(given, lambda *_: is_free("127.0.0.1", port))
    assert demo is given and lacks_listener(demo)
    assert is_free("127.0.0.1", port)
    assert not lacks_listener(for_demo(given, lambda *_: True))
    assert not lacks_listener(read({"REGISTRAR_PROV_HTTP": ""})), "it is off on purpose"
