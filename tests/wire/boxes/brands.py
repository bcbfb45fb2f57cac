"""The phones of each brand: order of requests, User-Agent, redirection and Events, from public guides."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from .box import Box, Files, KeepsWhatItHas, folder

__all__ = ["BOXES", "Box", "KeepsWhatItHas"]


class Snom(Box):
    """It stores one URL, in which it replaces {mac}; of a folder it loads two files that have its model."""

    writer = "snom"
    events = ("check-sync;reboot=false", "check-sync;reboot=true")

    def agent(self) -> str:
        return f"Mozilla/4.0 (compatible; snom{self.model}-SIP 10.1.184.15 1.1.5-IFX {self.mac} SXM:0 UXM:0)"

    def files(self) -> Files:
        if self.server.endswith("/"):
            names = [f"snom{self.model}.htm", f"snom{self.model}-{self.mac}.htm"]
        else:
            names = [""]
        for name in names:
            got = yield self.server.replace("{mac}", self.mac) + name
            if got.found:
                self.take(got.found)

    def next_server(self) -> str:
        return self.value("setting_server") or self.server


class Snom8(Snom):
    """The same with another form of settings."""

    writer = "snom8"


class SnomDect(Snom):
    """A base, which knows no names of a model."""

    writer = "snom-dect"
    events = ("check-sync;reboot=true", "check-sync;reboot=true")

    def agent(self) -> str:
        return f"Mozilla/4.0 (compatible; Snom {self.model} 05.20.0001 {self.mac.lower()})"

    def tell(self, url: str) -> None:
        self.server = url + "{mac}.xml" if url.endswith("/") else url


class Mitel(Box):
    """It stores protocol, server and path. Without a first file that has something in it, it stops."""

    writer = "mitel"
    events = ("check-sync", "check-sync;reboot=true")

    def agent(self) -> str:
        pairs = "-".join(re.findall("..", self.mac))
        name = f"Aastra{self.model}" if self.model == "6731i" else f"Mitel{self.model}"
        return f"{name} MAC:{pairs} V:6.4.0.140-SIP"

    def tell(self, url: str) -> None:
        self.server = folder(url)

    def files(self) -> Files:
        first = yield self.server + "startup.cfg"
        if not first.found.strip():
            return
        self.take(first.found)
        for name in (f"{self.model}.cfg", f"{self.mac}.cfg"):  # the last one wins
            got = yield self.server + name
            if got.found:
                self.take(got.found)

    def next_server(self) -> str:
        protocol = self.value("download protocol").lower()
        if not protocol:
            return self.server
        host, port = self.value(f"{protocol} server"), self.value(f"{protocol} port")
        path = self.value(f"{protocol} path").strip("/")
        return f"{protocol}://{host}{':' + port if port else ''}/{path + '/' if path else ''}"


class Yealink(Box):
    """A boot file says which files follow, and holds no settings; without one there are two files.

    If the URL ends with a file name, it loads that file alone.
    """

    writer = "yealink"
    events = ("check-sync;reboot=false", "check-sync;reboot=true")
    common = "y000000000108.cfg"

    def agent(self) -> str:
        pairs = ":".join(re.findall("..", self.mac.lower()))
        return f"Yealink SIP-{self.model} 108.86.0.20 {pairs}"

    def files(self) -> Files:
        if not self.server.endswith("/"):
            names = [""]
        else:
            own = yield f"{self.server}{self.mac.lower()}.boot"
            boot = own.found or (yield f"{self.server}y000000000000.boot").found
            names = _included(boot) if boot else [self.common, f"{self.mac.lower()}.cfg"]
        for name in names:
            got = yield self.server + name
            if got.found:
                self.take(got.found)

    def next_server(self) -> str:
        return self.value("static.auto_provision.server.url") or self.server


def _included(boot: str) -> list[str]:
    """The files that a boot file names; anything else in it is no setting."""
    assert boot.startswith("#!version:1.0.0.1\n")
    return re.findall(r'^include:config\s+["<]([^">]+)[">]\s*$', boot, re.MULTILINE)


class YealinkDect(Yealink):
    """A base."""

    writer = "yealink-dect"
    common = "y000000000077.cfg"

    def agent(self) -> str:
        pairs = ":".join(re.findall("..", self.mac.lower()))
        return f"Yealink {self.model} 77.85.0.25 {pairs}"


class Gigaset(Box):
    """N610, N670, N870: %MACD is the MAC address. A file may be one step to another."""

    writer = "gigaset-nx70"
    events = ("check-sync", "check-sync;reboot=true")
    stored = "Provisioning.global.ProvisioningServer"

    def agent(self) -> str:
        return f"Gigaset {self.model.removesuffix(' IP PRO')}/83.V2.11.0+build.a546b91;{self.mac}"

    def files(self) -> Files:
        url = self.server + "provisioning.xml" if self.server.endswith("/") else self.server
        for _ in range(3):
            got = yield url.replace("%MACD", self.mac)
            step = _step(got.found)
            if not step:
                break
            url = self.server = step
        if got.found and not step:
            self.take(got.found)

    def next_server(self) -> str:
        return self.value(self.stored) or self.server


def _step(text: str) -> str:
    """Where a file of steps sends the base; empty if it is a configuration."""
    found = [] if not text else ET.fromstring(text.encode()).findall("custom/step")
    assert all(one.attrib["type"] == "Redirect" for one in found)
    return found[-1].attrib["url"] if found else ""


class Maxwell(Gigaset):
    """A desk phone that is sent on in the same way."""

    writer = "maxwell"
    stored = "System.Provision.ProvisioningServer"

    def agent(self) -> str:
        return f"{self.model}/3.12.14;{self.mac}"


class GigasetN510(Box):
    """It stores a server without a scheme, and asks it for its own list of files first."""

    writer = "gigaset-n510"
    events = ("check-sync", "check-sync;reboot=true")
    version = "1.0"

    def agent(self) -> str:
        return f"N510 IP PRO/42.258.00.000.000;{self.mac}"

    def tell(self, url: str) -> None:
        self.server = folder(url)

    def files(self) -> Files:
        for name in ("42/2/master.bin", f"{self.mac}.xml"):
            got = yield self.server + name
            if got.found:
                self.take(got.found)

    def next_server(self) -> str:
        place = self.value("BS_IP_Data1.aucS_DATA_SERVER[0]")
        return f"{urlsplit(self.server).scheme}://{place}/" if place else self.server


class Grandstream(Box):
    """It asks for a binary file first, and for common files only if there is none of its own."""

    writer = "grandstream"
    events = ("resync", "check-sync;reboot=true")

    def agent(self) -> str:
        return f"Grandstream Model HW {self.model} [V1.1A] SW 1.0.7.97 DevId {self.mac.lower()}"

    def tell(self, url: str) -> None:
        self.server = folder(url)

    def files(self) -> Files:
        own = f"cfg{self.mac.lower()}"
        for name in (own, f"{own}.xml", f"cfg{self.model.lower()}.xml", "cfg.xml"):
            got = yield self.server + name
            assert not got.found or name != own, "no binary file is made"
            if got.found:
                return self.take(got.found)

    def next_server(self) -> str:
        assert self.value("mac") in ("", self.mac.lower()), "it refuses the file of another phone"
        path = self.value("provisioning.config.serverPath")
        return f"{self.value('provisioning.config.protocol').lower()}://{path}/" if path else self.server


class Spa(Box):
    """It stores a rule with macros: $PSN is the model without letters, $MA the MAC address."""

    writer = "spa"
    events = ("resync", "reboot_now")
    version = "1.0"
    rule = "spa$PSN.cfg"

    def agent(self) -> str:
        return f"Cisco/{self.model}-7.4.8a ({self.mac})({self.serial or 'CBT141400UK'})"

    def tell(self, url: str) -> None:
        self.server = url + self.rule if url.endswith("/") else url

    def files(self) -> Files:
        macros = {"$PSN": self._short(), "$MA": self.mac.lower(), "$SN": self.serial}
        url = self.server
        for macro, value in macros.items():
            url = url.replace(macro, value)
        got = yield url
        if got.found:
            self.take(got.found)

    def _short(self) -> str:
        return self.model.removeprefix("SPA").partition(" ")[0]

    def next_server(self) -> str:
        return self.value("Profile_Rule ua=na") or self.server


class Mpp(Spa):
    """The multiplatform phones."""

    writer = "mpp"
    events = ("check-sync", "check-sync")
    version = "1.1"
    rule = "$PSN.xml"

    def agent(self) -> str:
        return f"Cisco-CP-{self._short()}-3PCC/11.3.1 ({self.mac.lower()})"


class Lg(Box):
    """It loads the file of its model, then one whose name is its MAC address."""

    writer = "lg"
    events = ("check-sync", "check-sync")

    def agent(self) -> str:
        return f"{self.model} SIP {self.mac}"

    def tell(self, url: str) -> None:
        self.server = folder(url)

    def files(self) -> Files:
        for name in (f"sysconf_{self.model}_sip.cfg", self.mac):
            got = yield self.server + name
            if got.found:
                self.take(got.found)

    def next_server(self) -> str:
        assert self.value("PROVISION/https_macform") in ("", "MAC")
        return self.value("PROVISION/https_url") or self.server


BOXES: Final[Mapping[str, type[Box]]] = {
    one.writer: one
    for one in (
        *(Snom, Snom8, SnomDect, Mitel, Yealink, YealinkDect, Gigaset, GigasetN510, Maxwell),
        *(Grandstream, Spa, Mpp, Lg),
    )
}
"""Writer of the model -> its phones."""
