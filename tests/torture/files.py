"""What becomes of the very messages of RFC 4475, where their 49 files lie beside us."""

import os
from pathlib import Path
from typing import Final

from .build import PARSED, RESPONSE, SILENCE, Case, End, Fate, case, closed, stays, waits

FOLDER: Final = Path(os.environ.get("TORTURE_FILES", Path(__file__).parents[3] / "shared" / "rfc4475"))
"""One file a message, as `wsinv.dat`."""

NORMAL: Final = (407,)
"""A request to somebody else that is sound: asked for credentials."""

# By name: what the language says, and what is answered.
VERDICTS: Final[dict[str, tuple[str | int, tuple[int, ...]]]] = {
    "wsinv": (PARSED, (481,)),
    "intmeth": (PARSED, (501,)),
    "esc01": (PARSED, NORMAL),
    "escnull": (PARSED, (401,)),
    "esc02": (PARSED, (501,)),
    "lwsdisp": (PARSED, (401,)),
    "longreq": (PARSED, NORMAL),
    "dblreq": (PARSED, (401,)),
    "semiuri": (PARSED, (401,)),
    "transports": (PARSED, (401,)),
    "mpart01": (PARSED, NORMAL),
    "unreason": (RESPONSE, (SILENCE,)),
    "noreason": (RESPONSE, (SILENCE,)),
    "badinv01": (400, (400, SILENCE)),
    "clerr": (400, (400,)),
    "ncl": (400, (400,)),
    "scalar02": (400, (400,)),
    "scalarlg": (RESPONSE, (SILENCE,)),
    "quotbal": (400, (400, SILENCE)),
    "ltgtruri": (400, (400, SILENCE)),
    "lwsruri": (400, (400, SILENCE)),
    "lwsstart": (400, (400, SILENCE)),
    "trws": (400, (400, SILENCE)),
    "escruri": (400, (400,)),
    "baddate": (400, (400, SILENCE)),
    "regbadct": (400, (400,)),
    "badaspec": (400, (400, SILENCE)),
    "baddn": (400, (400, SILENCE)),
    "badvers": (505, (505,)),
    "mismatch01": (400, (400,)),
    "mismatch02": (400, (400, 501)),
    "bigcode": (400, (SILENCE,)),
    "badbranch": (PARSED, (200, 401)),
    "insuf": (400, (400, SILENCE)),
    "unkscm": (PARSED, (416,)),
    "novelsc": (PARSED, (416,)),
    "unksm2": (400, (400,)),
    "bext01": (PARSED, (420,)),
    "invut": (PARSED, NORMAL),
    "regaut01": (PARSED, (401,)),
    "multi01": (400, (400,)),
    "mcl01": (400, (400,)),
    "bcast": (RESPONSE, (SILENCE,)),
    "zeromf": (PARSED, (483, 200)),
    "cparam01": (PARSED, (401,)),
    "cparam02": (PARSED, (401,)),
    "regescrt": (PARSED, (401,)),
    "sdp01": (PARSED, NORMAL),
    "inv2543": (PARSED, (*NORMAL, 400)),
}

STREAM: Final = {
    # Its INVITE says 150 octets and has 153: what is left over is no message.
    "dblreq": Fate((frozenset({401}), frozenset(NORMAL), frozenset({SILENCE})), End.CLOSED),
    "clerr": waits(),
    "ncl": closed(400),
    "mcl01": closed(400),
    "inv2543": closed(400),
    "baddn": waits(),  # the empty line after the headers is missing
}
"""Over TCP, where it is not the same."""

WS: Final = {"dblreq": stays(400)}
"""Over WebSocket, where it is not the same."""


def cases() -> tuple[Case, ...]:
    """The 49 messages as they lie there; none when there is no such folder."""
    if not FOLDER.is_dir():
        return ()
    return tuple(
        case(
            name,
            "RFC 4475",
            (FOLDER / f"{name}.dat").read_bytes(),
            verdict,
            *answers,
            stream=STREAM.get(name),
            ws=WS.get(name),
        )
        for name, (verdict, answers) in VERDICTS.items()
    )
