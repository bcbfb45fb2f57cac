"""The roles of session descriptions in a dialog: offer or answer (RFC 3262 section 5, RFC 6337)."""

from typing import Final

from registrar.sip import Request, Response

MAX_KEPT: Final = 4_096

_Key = tuple[str, str, str, str]
"""Call-ID, tag of the party that answers the INVITE, RSeq, CSeq number of the INVITE."""


class Offers:
    """Record of what reliable provisional responses carried, for the PRACK of each.

    If the acknowledged response carried an offer, a description in the PRACK is the answer. Else it is an
    offer.
    """

    def __init__(self) -> None:
        self._reliable: dict[_Key, bool] = {}

    def note(self, invite: Request, response: Response, *, is_offer: bool) -> None:
        """Note whether the description in a relayed provisional response is an offer."""
        rseq = response.headers.get("rseq")
        if rseq is None:
            return
        key = (invite.call_id, response.to.tag or "", rseq.strip(), str(invite.cseq[0]))
        self._reliable[key] = is_offer
        if len(self._reliable) > MAX_KEPT:
            del self._reliable[next(iter(self._reliable))]

    def is_answer(self, request: Request, *, late: bool) -> bool:
        """Return whether a description in a request inside a dialog is an answer.

        `late`: the INVITE that made the dialog had no offer. That decides for a PRACK if the response went
        through another node.
        """
        if request.method == "ACK":
            return True
        if request.method != "PRACK":
            return False
        rseq, number, *_ = (*(request.headers.get("rack") or "").split(), "", "")
        known = self._reliable.get((request.call_id, request.to.tag or "", rseq, number))
        return late if known is None else known


def is_reliable(response: Response) -> bool:
    """Return whether a response is acknowledged by a PRACK (RFC 3262 section 3)."""
    return 100 < response.status < 200 and response.headers.get("rseq") is not None
