"""The names of routes in clients that are generated."""

import re

from config.access import RULES
from config.documentation import operation_id
from tests.every import every

DOMAIN = "/config/v2/sip/domains/{domain}"
HIDDEN = ("/docs", "/openapi", "/phone", "/selftest", "/board", "/base")
"""Pages for people, and `/`: the documentation of the API leaves them out."""


@every(
    ("method", "path", "name"),
    [
        ("GET", "/pbx/sipphone", "list_phones"),
        ("PATCH", "/pbx/sipphone/{id}", "update_phone"),
        ("PUT", "/pbx/sipphone/{id}", "update_phone_by_put"),
        ("POST", "/pbx/sipphone/{id}", "update_phone_by_post"),
        ("DELETE", "/employee/{id}/token/{token}", "delete_employee_token"),
        ("POST", "/pbx/sipphone/{id}/resetcredentials", "reset_credentials"),
        ("GET", "/config/v2/sip/domains", "list_sip_domains"),
        ("POST", DOMAIN, "update_sip_domain"),
        ("GET", DOMAIN + "/queues/{queue}/members/{member}", "show_sip_queue_member"),
        ("DELETE", DOMAIN + "/groups/{group}/users", "remove_sip_group_user"),
        ("PUT", DOMAIN + "/queues/{queue}/members/order", "order_sip_queue_members"),
    ],
)
def test_a_route_is_called_by_a_verb_and_a_noun(method: str, path: str, name: str) -> None:
    assert operation_id(method, path) == name


def test_every_route_has_a_short_name_of_its_own() -> None:
    routes = [route for route in RULES if route[1] != "/" and not route[1].startswith(HIDDEN)]
    names = [operation_id(*route) for route in routes]
    assert len(set(names)) == len(routes) > 100
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) and len(name) <= 32 for name in names)
