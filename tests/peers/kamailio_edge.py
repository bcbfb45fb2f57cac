"""Kamailio as an edge: phones speak UDP and TCP with it, and it speaks UDP with the nodes in turn.

It adds a Path with the flow of the phone and `ob` to each REGISTER, records itself in calls, and says by 430
that a flow is gone (RFC 3327, RFC 5626 section 5). It knows no phone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.peers.kamailio import KamailioServer
from tests.peers.phone import Address

CONFIGURATION: Final = """#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=1
auto_aliases=no
listen=udp:{host}:{port}
listen=tcp:{host}:{port}

loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "siputils.so"
loadmodule "tmx.so"
loadmodule "textops.so"
loadmodule "path.so"

# A 100 of its own would hide the 407 from the phone of the tests, which waits for the first response.
modparam("tm", "auto_inv_100", 0)
modparam("path", "use_received", 1)
modparam("path", "enable_r2", 1)
modparam("rr", "enable_double_rr", 1)
modparam("pv", "shvset", "turn=i:0")

request_route {{
    if (is_method("OPTIONS") && !has_totag() && $rU == $null && !is_present_hf("Route")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    force_rport();
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) route(RELAY);
        else if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    t_check_trans();
    if (is_method("INVITE|SUBSCRIBE|REFER")) record_route();
    # A node, along the Path; loose_route is false outside a dialog. A phone may have the port of a node.
    if (($si == "{one_ip}" && $sp == {one}) || ($si == "{other_ip}" && $sp == {other})) {{
        loose_route();
        route(RELAY);
        exit;
    }}
    if (is_method("REGISTER")) {{
        remove_hf("Path"); # a phone must not name a way through our network
        add_path_received("", "ob");
    }}
    $shv(turn) = $shv(turn) + 1;
    if ($shv(turn) mod 2 == 0) $du = "sip:{first};transport=udp";
    else $du = "sip:{second};transport=udp";
    route(RELAY);
}}

route[RELAY] {{
    set_forward_no_connect();
    if (!t_relay()) sl_send_reply("430", "Flow Failed");
    exit;
}}
"""


class KamailioEdge(KamailioServer):
    """One edge at `host`, before two nodes."""

    def __init__(self, tmp: Path, host: str, nodes: Sequence[Address]) -> None:
        first, second = (f"{ip}:{port}" for ip, port in nodes)

        def script(port: int) -> str:
            (one_ip, one), (other_ip, other) = nodes
            return CONFIGURATION.format(
                host=host,
                port=port,
                first=first,
                second=second,
                one_ip=one_ip,
                one=one,
                other_ip=other_ip,
                other=other,
            )

        super().__init__(tmp, script)
        self.sip = (host, self.sip[1])
