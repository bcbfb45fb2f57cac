"""The live status of phones as three readers see it: the API, the command line, Redis."""

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.wire.site import Handset, Site


@dataclass(frozen=True)
class Seen:
    """What a reader is told about one phone."""

    online: bool
    expires: int
    """Seconds left, -1 when offline."""
    user_agent: str
    public: str
    local: str


def from_api(site: Site) -> dict[str, Seen]:
    """GET /pbx/sipphone?full=true, all of it."""
    reply = site.api("GET", "/pbx/sipphone?full=true&limit=1000")
    assert reply.status == 200, reply
    return {phone["_id"]: _from_json(phone["status"]) for phone in reply.body["sipPhones"]}


def from_command(site: Site) -> dict[str, Seen]:
    """`registrar status --json`."""
    return {row["_id"]: _from_json(row) for row in json.loads(site.command("status", "--json"))}


def from_redis(site: Site, handsets: list[Handset]) -> dict[str, Seen]:
    """`redis-cli hgetall registrar:status:{id}` for each of `handsets`."""
    answers = site.redis_all([("hgetall", f"registrar:status:{{{handset.id}}}") for handset in handsets])
    return {handset.id: _from_hash(answer) for handset, answer in zip(handsets, answers, strict=True)}


def _from_json(status: dict[str, Any]) -> Seen:
    return Seen(
        status["online"],
        status["expires"],
        status["userAgent"] or "",
        status["publicIpAddress"] or "",
        status["localIpAddress"] or "",
    )


def _from_hash(fields: dict[str, str]) -> Seen:
    online = fields.get("online") == "1" and int(fields["expiresAt"]) > time.time()
    return Seen(
        online,
        round(int(fields["expiresAt"]) - time.time()) if online else -1,
        fields.get("userAgent", ""),
        fields.get("publicIpAddress", ""),
        fields.get("localIpAddress", ""),
    )
