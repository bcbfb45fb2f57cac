"""What a phone of each brand reads in its file: every account, with the place where it registers."""

from dataclasses import replace

import pytest

from config.provisioning.files import config_name
from config.provisioning.render import WRITERS, render
from config.provisioning.view import Provisioned
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS
from tests.every import every
from tests.wire.boxes.accounts import ACCOUNTS, Sip
from tests.wire.boxes.brands import BOXES

ONLY_UDP = ("gigaset-n510", "lg")
"""Their files have no name for another transport, and the preview warns of it."""


def accounts(phone: Provisioned) -> list[Sip]:
    text = render(phone, config_name(phone.writer, phone.mac, phone.model)).text
    return ACCOUNTS[phone.writer](PARSERS[phone.writer](text))


def test_each_writer_has_an_emulator() -> None:
    assert set(ACCOUNTS) == set(BOXES) == set(WRITERS)


@every("transport", ["udp", "tcp", "tls"])
@every("writer", WRITERS)
def test_a_phone_reads_its_account_and_its_server(writer: str, transport: str) -> None:
    phone = phones.empty(writer)
    phone = replace(phone, server=replace(phone.server, transport=transport, port=5070, expires=1800))
    (found,) = accounts(phone)
    host = "c1.example" if writer == "lg" else "sip.example"
    way = "udp" if writer in ONLY_UDP else transport
    expires = 3600 if writer == "maxwell" else 1800  # its file has no name for it
    assert found == Sip(1, "2yu9hjfy", "2yu9hjfy", "g9ewhufg", "c1.example", host, 5070, way, expires)


@pytest.mark.parametrize("writer", ["snom-dect", "yealink-dect", "gigaset-n510", "gigaset-nx70", "spa"])
def test_check_16_a_base_reads_the_accounts_of_its_handsets_alone(writer: str) -> None:
    phone = replace(phones.full("snom-dect"), writer=writer, model=phones.MODELS[writer][1], extra="")
    assert [(one.place, one.username, one.password) for one in accounts(phone)] == [
        (1, "2yu9hjfy", "g9ewhufg"),
        (3, "iuhdwg9e", "whufghui"),
    ]
