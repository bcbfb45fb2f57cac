"""The table of headers between two phones: which are removed, changed or passed, for both directions.

A header that is not in the table passes unchanged. docs/headers.md shows the same table.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """The treatment of a header between two phones."""

    REMOVED = "removed"
    """It passes in neither direction."""
    MADE = "made"
    """The phone's value is dropped. We write our own value where the header is needed."""
    KEPT = "kept"
    """It identifies the dialog. Each side gets the value that it knows."""
    CHANGED = "changed"
    """It passes with an adapted value."""
    PERSONAL = "personal"
    """It passes, unless the sender withholds its identity (RFC 3323 section 5.3)."""
    PASSES = "passes"
    """It passes unchanged."""


@dataclass(frozen=True, slots=True)
class Row:
    """One header of the table."""

    name: str
    verdict: Verdict
    reason: str

    @property
    def key(self) -> str:
        """Return the canonical name."""
        return self.name.lower()


_OF_HOP: Final = "is meant for this server alone"
_CREDENTIALS: Final = "would let one phone ask another for its digest, or replay it"
_CLAIM: Final = "claims an identity: the server asserts it"
_COMMANDS: Final = "commands another phone"
_FETCHES: Final = "makes the other phone fetch a URL, or ring as the sender likes"
_TRUST: Final = "is valid only between the servers of one operator"
_CHARGES: Final = "says who pays"
_PLACE: Final = "tells a location"
_ABOUT: Final = "says something about the sender"
_BODY: Final = "describes the body"
_ABLE: Final = "says what the phone can do"
_EVENT: Final = "belongs to an event package"
_DIALOG: Final = "belongs to a dialog, or names one"
_WISH: Final = "is a wish of the sender about its own call"

_ROWS: Final[tuple[tuple[Verdict, str, str], ...]] = (
    (Verdict.MADE, "Via Route Record-Route Max-Forwards", _OF_HOP),
    (Verdict.MADE, "Contact", "is the address of a phone: the other phone gets an address of this server"),
    (Verdict.MADE, "Diversion", "says who has forwarded a call: the server knows it"),
    (Verdict.MADE, "Content-Length", "counts the octets of the body that leaves"),
    (Verdict.MADE, "P-Asserted-Identity", _CLAIM),
    (
        Verdict.KEPT,
        "From To Call-ID CSeq",
        "names the dialog and both parties, to each side in its own words",
    ),
    (Verdict.REMOVED, "Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate", _CREDENTIALS),
    (Verdict.REMOVED, "Authentication-Info Proxy-Authentication-Info", _CREDENTIALS),
    (Verdict.REMOVED, "Security-Client Security-Server Security-Verify", _OF_HOP),
    (Verdict.REMOVED, "Path Service-Route Proxy-Require Flow-Timer", _OF_HOP),
    (Verdict.REMOVED, "P-Preferred-Identity Remote-Party-ID P-Associated-URI P-Called-Party-ID", _CLAIM),
    (Verdict.REMOVED, "Additional-Identity History-Info Reply-To", _CLAIM),
    (Verdict.REMOVED, "Identity Identity-Info Attestation-Info Origination-Id Priority-Verstat", _CLAIM),
    (Verdict.REMOVED, "Alert-Info Call-Info Error-Info", _FETCHES),
    (Verdict.REMOVED, "Answer-Mode Priv-Answer-Mode P-Auto-Answer P-Answer-State", _COMMANDS),
    (Verdict.REMOVED, "P-Early-Media P-Media-Authorization Policy-Contact Policy-ID", _COMMANDS),
    (Verdict.REMOVED, "Resource-Priority Accept-Resource-Priority", "would end calls of others (preemption)"),
    (Verdict.REMOVED, "P-Asserted-Service P-Preferred-Service P-Served-User P-Profile-Key", _TRUST),
    (Verdict.REMOVED, "P-User-Database P-Visited-Network-ID P-Private-Network-Indication", _TRUST),
    (Verdict.REMOVED, "P-Refused-URI-List P-DCS-Trace-Party-ID P-DCS-OSPS P-DCS-LAES P-DCS-Redirect", _TRUST),
    (Verdict.REMOVED, "Priority-Share Resource-Share Restoration-Info Response-Source-Info", _TRUST),
    (Verdict.REMOVED, "Service-Interact-Info DC-Info", _TRUST),
    (Verdict.REMOVED, "P-Charging-Vector P-Charging-Function-Addresses", _CHARGES),
    (Verdict.REMOVED, "P-Charge-Info P-DCS-Billing-Info Relayed-Charge", _CHARGES),
    (Verdict.REMOVED, "Geolocation Geolocation-Routing Geolocation-Error", _PLACE),
    (Verdict.REMOVED, "P-Access-Network-Info Cellular-Network-Info", _PLACE),
    (Verdict.CHANGED, "Refer-To", "leads through the address of this server that the receiver can reach"),
    (Verdict.CHANGED, "Referred-By", "names the sender as the receiver knows it"),
    (Verdict.CHANGED, "Session-Expires Min-SE Require", "session timers are added (RFC 4028)"),
    (Verdict.CHANGED, "Privacy", "is done here, and gone then; the value none passes (RFC 3323 section 4.2)"),
    (Verdict.PERSONAL, "User-Agent Server Organization Subject In-Reply-To Warning", _ABOUT),
    (Verdict.PASSES, "Accept Accept-Encoding Accept-Language Allow Allow-Events Supported", _ABLE),
    (Verdict.PASSES, "Unsupported Info-Package Recv-Info Feature-Caps Suppress-If-Match", _ABLE),
    (Verdict.PASSES, "Content-Type Content-Encoding Content-Disposition Content-Language Content-ID", _BODY),
    (Verdict.PASSES, "MIME-Version", _BODY),
    (Verdict.PASSES, "Event Subscription-State SIP-ETag SIP-If-Match Refer-Events-At Refer-Sub", _EVENT),
    (Verdict.PASSES, "Permission-Missing Trigger-Consent", _EVENT),
    (Verdict.PASSES, "RAck RSeq Reason Replaces Join Target-Dialog Session-ID User-to-User", _DIALOG),
    (Verdict.PASSES, "Accept-Contact Reject-Contact Request-Disposition Priority Max-Breadth", _WISH),
    (Verdict.PASSES, "Date Expires Min-Expires Retry-After Timestamp", "is a time"),
    (Verdict.PASSES, "Encryption Hide Response-Key", "is obsolete: no phone reads it"),
)

TABLE: Final = tuple(Row(name, verdict, reason) for verdict, names, reason in _ROWS for name in names.split())
"""All known headers."""


def _keys(*verdicts: Verdict) -> frozenset[str]:
    return frozenset(row.key for row in TABLE if row.verdict in verdicts)


REMOVED: Final = _keys(Verdict.REMOVED)
WITHHELD: Final = _keys(Verdict.REMOVED, Verdict.MADE)
"""Headers of a request that are not copied. The Vias hold the sender's addresses. They are restored in the
responses, so the receiver need not see them (RFC 3323 section 5.1)."""
KEPT_BACK: Final = _keys(Verdict.REMOVED, Verdict.MADE, Verdict.KEPT)
"""Headers of a response that are removed or written again."""
PRIVATE: Final = _keys(Verdict.PERSONAL) | {"privacy"}
"""Headers that are also not copied if the sender withholds its identity."""
WITHHELD_PRIVATE: Final = WITHHELD | PRIVATE
KEPT_BACK_PRIVATE: Final = KEPT_BACK | PRIVATE

CHARGING: Final = "p-charging-"
"""Headers with this prefix are removed even if the table does not name them: more may be registered."""
CHARGING_LENGTH: Final = len(CHARGING)
