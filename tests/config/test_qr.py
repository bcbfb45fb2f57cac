"""QR codes: a reader of the tests finds the text in them, at each size that a link can have."""

import xml.etree.ElementTree as ElementTree

from config.provisioning.qr import svg
from tests.config.qr_reader import read_qr
from tests.every import every


@every("length", [10, 14, 20, 30, 50, 75, 90, 110, 130, 160, 200])
def test_a_code_is_read_as_its_text(length: int) -> None:
    text = ("https://prov.example.com/o/" + "abcdefghijklmnopqrstuvwxyz234567" * 6)[:length]
    assert read_qr(svg(text)) == text


def test_a_picture_has_no_size_no_script_and_a_light_ground() -> None:
    root = ElementTree.fromstring(svg("https://prov.example.com/o/abc"))
    assert set(root.attrib) == {"viewBox"}
    ground, modules = root
    assert (ground.get("fill"), modules.get("stroke")) == ("#fff", "#000")
    assert not [one for one in root.iter() if one.text]
