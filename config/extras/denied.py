"""Names that extra lines may not set: accounts, servers, certificates, passwords, where a phone loads from.

The names are denied by kind, because vendors have a dozen settings of each kind: a second registrar, a backup
proxy, a redirection. The names of elements that belong to the frame of a file are denied one by one.
"""

import re
from typing import Final

COLON: Final = "colon"
EQUALS: Final = "equals"
INI: Final = "ini"
XML: Final = "xml"

_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_KINDS: Final = re.compile(
    r"proxy|registrar|outbound|redirect|regserver|registrationserver|sipserver|srvsip"
    r"|siptransport|transportprotocol|transporttype"
    r"|provision|managementserver|tr069|zerotouch|firmware|upgrade|resync|tftp|customca|applicationpost"
    r"|dhcpoption|dhcpconfigoption|option(43|66|150|159|160)"
    r"|cert|privatekey"
    r"|authname|authid|authuser|username|userid(?!le)|loginid|accountisactive"
    r"|passw|passcode|passphrase|(user|http|admin)pass|secret|credential"
)
"""What any name of these kinds has in it, without its separators."""
_PLACES: Final = re.compile(r"server|url|path")
"""A name of a place: denied, unless it is one of the harmless ones."""
_HARMLESS: Final = re.compile(
    r"(ntp|time|dns|ldap|syslog)server"
    r"|(wallpaper|background|bgimage|picture|photo|logo|ringtone|phonebook|contact|directory|action)"
    r"[a-z0-9]*?(serverpath|url|path)"
)
"""Places that no phone registers at or loads settings from: time, names, directories, pictures, sounds."""

_NAMES: Final = {
    COLON: r"sip (.* )?screen name.*|(http|https|ftp) .*|download protocol|contact rcs|aastra.*",
    EQUALS: r"account\.\d+\.(enable|transport.*|.*dns_cache.*|.*naptr.*|.*static_cache.*)"
    r"|(static\.)?(auto_provision|autoprovision|security|dm)\..*|overwrite_mode",
    INI: r"line\d*_(name|authname|password|proxy.*|type|extension)|https?_.*",
    XML: r"user_(active|name|pname|pass|host)|subscr_.*|prov_.*|update_policy|pnp_config"
    r"|.*pass(wd|word)?(_\d+_)?|http_(user|pass)|webserver_.*|line_enable_\d+_|profile_rule.*"
    r"|account\.\d+\.(enable|sip\.(userid|subscriber|transport|registration$|domain).*)|users\..*|p\d+"
    r"|sipaccount\..*|sipprovider\..*|webuiaccounts\..*|webui\..*|sip\.account\..*"
    r"|bs_ip_data\d?\.aucs_sip_.*|bs_accounts\..*|bs_custom\.auckdspin.*"
    r"|mac(_address)?|step|file|oper|phone-settings|functionkeys|settings|nvm|config|gs_provision"
    r"|flat-profile|provider|providerframe",
}
"""Syntax -> further names. A P value of Grandstream does not say what it sets; the named items do."""


def is_denied(syntax: str, name: str) -> bool:
    """Return whether extra lines of a syntax may not set a name; its case does not matter."""
    lower = name.strip().lower()
    bare = _SEPARATORS.sub("", lower)
    is_kind = _KINDS.search(bare) or _PLACES.search(_HARMLESS.sub("", bare))
    return bool(is_kind or re.fullmatch(_NAMES[syntax], lower))
