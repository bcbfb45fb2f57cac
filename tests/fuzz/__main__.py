"""Run one target: `python -m tests.fuzz TARGET [--runs N] [--seconds N] [FILE ...]`; files are tried alone.

Ends with 0 when nothing was found; else with the input, which libFuzzer also leaves in the working folder.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import atheris

from tests.fuzz import TARGETS

MAX_OCTETS: Final = 4_096
SLOW_SECONDS: Final = 5
"""An input that takes longer is a find."""
WORDS: Final = (
    "sip: sips: tel: @ : ; , < > ? & = \\ % %00 %41 %zz [ ] [::1] [2001:db8::1] 192.0.2.1 :5060 :65536 * . "
    "lr transport=tcp user=phone maddr= ttl= branch= z9hG4bK received= rport tag= expires= q=0.5 "
    "+sip.instance= Digest username= realm= nonce= uri= response= algorithm= MD5 SHA-256 qop=auth "
    "nc=00000001 cnonce= opaque= SIP/2.0 SIP/2.0/UDP REGISTER OPTIONS INVITE Via: v: From: To: Call-ID: "
    "CSeq: Contact: Content-Length: l: Max-Forwards: Authorization: Date:"
).split()
"""What these languages are made of; quotes, blanks and ends of lines are added."""
ESCAPED: Final = ('\\"', " ", "\\x0d\\x0a", "\\x0d\\x0a ", "\\x0d\\x0a\\x0d\\x0a")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz one part.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("files", nargs="*", type=Path)
    wanted = parser.parse_args()
    with atheris.instrument_imports(include=["registrar", "websockets"]):
        target = importlib.import_module(f"tests.fuzz.{wanted.target}")
    if wanted.files:
        for path in wanted.files:
            target.check(path.read_bytes())
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        for number, seed in enumerate(target.SEEDS):
            (corpus / f"seed-{number}").write_bytes(seed)
        entries = [*(word.replace("\\", "\\\\") for word in WORDS), *ESCAPED]
        words.write_text("".join(f'"{entry}"\n' for entry in entries))
        fuzz(target.check, corpus, words, wanted.runs, wanted.seed)


def fuzz(check: Callable[[bytes], None], corpus: Path, words: Path, runs: int, seed: int) -> None:
    """Does not return: libFuzzer ends the process."""
    options = [
        f"-dict={words}",
        "-use_value_profile=1",
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={MAX_OCTETS}",
        f"-timeout={SLOW_SECONDS}",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
