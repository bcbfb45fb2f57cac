"""Kamailio 5.6 as a proxy between the phones of one domain, everything in memory.

The reference that `tests/bench` measures calls beside: one SIP worker, 407 with digest and one password for
everybody, the number dialled and the caller's own number from a table, `lookup` in the location table,
Record-Route, and the caller's identity replaced in From, put back in what goes the other way
(`uac_replace_from`, whose state travels in the Record-Route). It keeps no state of a call that was answered.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.peers.kamailio import PASSWORD, REALM, KamailioServer

MEMORY: Final = ("-m", "1024", "-M", "8")
"""Transactions stay for 5 s after their end: some 13 KiB each, so Debian's 64 MiB are too few."""
TUNED_MEMORY: Final = (*MEMORY, "-x", "tlsf", "-X", "tlsf")

CONFIGURATION: Final = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
maxbuffer=4194304
listen=udp:127.0.0.1:{port}

loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "htable.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "uac.so"

modparam("rr", "append_fromtag", 1)
modparam("rr", "enable_full_lr", 1)
modparam("uac", "restore_mode", "auto")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_contacts", 1)
modparam("htable", "htable", "number=>size=10;")
modparam("htable", "htable", "user=>size=10;")

event_route[htable:mod-init] {{
{table}
}}

request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
            www_challenge("{realm}", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay();
        else if (is_method("ACK") && t_check_trans()) t_relay();
        else if (!is_method("ACK")) sl_send_reply("481", "Call/Transaction Does Not Exist");
        exit;
    }}
    t_check_trans();
    if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{
        proxy_challenge("{realm}", "1");
        exit;
    }}
    consume_credentials();
    record_route();
    uac_replace_from("$sht(number=>$fU)", "sip:$sht(number=>$fU)@{realm}");
    $rU = $sht(user=>$rU);
    if (!lookup("location")) {{
        sl_send_reply("480", "Temporarily Unavailable");
        exit;
    }}
    t_relay();
    exit;
}}
"""


class KamailioProxy(KamailioServer):
    """A proxy that knows which user has which number."""

    def __init__(
        self, tmp: Path, numbers: Mapping[str, str], *, memory: tuple[str, ...] = MEMORY, cores: str = ""
    ) -> None:
        """`numbers`: user names and their numbers, both of them unique."""
        self._numbers = numbers
        super().__init__(tmp, self._script, memory=memory, cores=cores)

    def _script(self, port: int) -> str:
        rows = [
            f'    $sht(number=>{user}) = "{number}";\n    $sht(user=>{number}) = "{user}";'
            for user, number in self._numbers.items()
        ]
        return CONFIGURATION.format(port=port, table="\n".join(rows), realm=REALM, password=PASSWORD)
