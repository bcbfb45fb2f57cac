"""What is known of a device when its files are written: plain values, every pointer resolved."""

from dataclasses import dataclass, field, replace
from typing import Final

PHONE: Final = 0
"""The `Key.panel` of a key on the phone itself; the panels are numbered from 1."""


@dataclass(frozen=True, slots=True)
class Account:
    """The SIP account of one phone or handset."""

    username: str
    password: str = field(repr=False)
    domain: str
    display_name: str = ""
    number: str = ""
    """Extension number; empty if the phone is not assigned."""


@dataclass(frozen=True, slots=True)
class Handset:
    """One phone of a MAC address: the phone itself, or a handset of a base or a port of an adapter."""

    index: int
    """Position on the base, 0-based; 0 for a phone without handsets."""
    account: Account
    address: str | None = None
    """Id of the handset (IPUI or IPEI), or None if the model does not need one."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the phone registers, and where it loads its files from next."""

    host: str
    port: int
    transport: str
    """udp, tcp or tls."""
    url: str = field(repr=False)
    """URL prefix with the steady secret, ending with `/`; a file name follows."""
    expires: int = 3600
    ntp: str = ""
    timezone: str = ""
    """Name of the time zone database, such as Europe/Copenhagen."""
    language: str = ""
    """ISO 639-1 code, such as da."""
    ca_url: str = ""
    """URL of our certificate authority; empty if the certificate is from a public one."""


@dataclass(frozen=True, slots=True)
class Key:
    """One softkey with its pointer resolved."""

    index: int
    """Position on the phone or on its panel, 0-based."""
    function: str
    panel: int = PHONE
    number: str = ""
    """Number of the extension, group, queue or device owner; else the stored value: a number, URL or name."""
    label: str = ""
    problem: str = ""
    """Why the pointer has no target; empty if it has one."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of one speaking part in the vendor's own units; None: the phone's default stays."""

    mic: int | None = None
    speaker: int | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """Ringer and levels; None: the phone's default stays."""

    ringer_volume: int | None = None
    ringer_tone: str | None = None
    """Index of a built-in tone, or id of a custom one."""
    handset: Levels = Levels()
    headset: Levels = Levels()
    handsfree: Levels = Levels()


@dataclass(frozen=True, slots=True)
class Display:
    """Settings of the display; None: the phone's default stays."""

    brightness: int | None = None
    """0 to 15."""
    brightness_idle: int | None = None
    """0 to 15."""
    background: str | None = None
    """URL of a picture."""
    font_color: str | None = None
    """LIGHT or DARK."""


@dataclass(frozen=True, slots=True)
class Network:
    """Address and VLAN of the phone, as stored; `network.settled()` says whether they may be written."""

    dhcp: bool = True
    address: str | None = None
    mask: str | None = None
    gateway: str | None = None
    dns1: str | None = None
    dns2: str | None = None
    vlan_id: int = 0
    vlan_priority: int = 0
    had_vlan: bool = False
    """Whether the file that the phone loaded last said anything about a VLAN."""

    @property
    def leaves_vlan(self) -> bool:
        """Return whether the phone must be told to leave the VLAN that it was told before."""
        return self.had_vlan and not self.vlan_id


ALL_FEATURES: Final = frozenset({"dnd", "forward", "queue", "pickup"})


@dataclass(frozen=True, slots=True)
class Services:
    """The numbers that keys may dial: feature codes of this server, and services beside it."""

    features: frozenset[str] = ALL_FEATURES
    """Families of feature codes that are enabled (REGISTRAR_FEATURES)."""
    voicemail: str = ""
    """This and the next ones are REGISTRAR_SERVICE_*: a number or prefix; empty: there is no such service."""
    pickup: str = ""
    queue: str = ""
    switch: str = ""
    presence: str = ""
    record: str = ""
    dndother: str = ""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """All that one device is told: the phones of one MAC address, ordered by their index."""

    mac: str
    """12 hexadecimal digits in upper case."""
    brand: str
    model: str
    writer: str
    """Name of the writer of this model, one of `render.WRITERS`."""
    handsets: tuple[Handset, ...]
    """At least one, with increasing indexes."""
    server: Server
    extensions: int = 1
    """How many phones the model may have at this MAC address."""
    serial: str = ""
    softkeys: int = 0
    """Keys on the phone itself."""
    panel_softkeys: int = 0
    """Keys on each panel."""
    panel: str | None = None
    """Model of the panels."""
    panels: int = 0
    """How many panels are attached."""
    keys: tuple[Key, ...] = ()
    call_waiting: bool | None = None
    blind_transfer: bool | None = None
    """Whether a BLF key transfers blindly; None: the model has no keys."""
    headset_button: str | None = None
    """speaker, headset, speaker-headset or headset-speaker."""
    dhsg: bool | None = None
    hd_audio: bool = True
    video: bool = False
    sound: Sound = Sound()
    display: Display = Display()
    network: Network = Network()
    services: Services = Services()
    admin_password: str = field(default="", repr=False)
    """Password of the phone's own pages; empty: none is written."""
    extra: str = ""
    """`configurationTemplate` of the model: lines in the syntax of the phone, with placeholders."""
    custom: str = ""
    """`customConfig` of the phone: lines in the syntax of the phone, with the same placeholders."""

    @property
    def account(self) -> Account:
        """Return the account of the first phone."""
        return self.handsets[0].account

    def position(self, key: Key) -> int:
        """Return the position of a key, counted through the phone and then its panels."""
        return (
            key.index
            if key.panel == PHONE
            else self.softkeys + (key.panel - 1) * self.panel_softkeys + key.index
        )


def place(position: int, softkeys: int, panel_softkeys: int) -> tuple[int, int]:
    """Return the panel of a stored `softkeys[].index`, and the index of the key there."""
    beyond = position - softkeys
    if beyond < 0 or panel_softkeys < 1:
        return PHONE, position
    return beyond // panel_softkeys + 1, beyond % panel_softkeys


MASK: Final = "********"


def masked(phone: Provisioned) -> Provisioned:
    """Return the same device with its secrets replaced: passwords, and the one in the URL. For a preview."""
    handsets = tuple(
        replace(handset, account=replace(handset.account, password=MASK)) for handset in phone.handsets
    )
    prefix = phone.server.url.rstrip("/").rpartition("/")[0]
    server = replace(phone.server, url=f"{prefix}/{MASK}/")
    admin = MASK if phone.admin_password else ""
    return replace(phone, handsets=handsets, server=server, admin_password=admin)
