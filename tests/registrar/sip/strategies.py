"""Values of the language and hostile text, for hypothesis."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

from registrar.sip import Credentials, NameAddr, Params, Uri, Via, quote

unhurried = settings(deadline=None)
"""A machine under load is no fault of the language; test_linear.py looks at time."""

TOKEN_CHARS: Final = "abcXYZ059-.!%*_+`'~"
SPECIALS: Final = '<>@,;:\\"/[]?={}&%*+ \t\r\n\0\x01\x7f09azAZ\u0085\u00e9\u017f\u0660\u212a\u2028\U0001f600'

tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
names = tokens.map(str.lower)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
quoted = texts.map(quote)
anything = st.one_of(
    st.text(max_size=60),
    st.text(SPECIALS, max_size=60),
    st.lists(
        st.sampled_from(
            [
                '"',
                "\\",
                "<",
                ">",
                ";",
                ",",
                "sip:",
                "a",
                "@",
                "=",
                "[",
                "::",
                "]",
                " ",
                "%4",
                "tag",
                ":",
                "Digest ",
            ]
        ),
        max_size=30,
    ).map("".join),
)
"""Any text at all, and text that looks like a header."""

escapes = st.integers(0, 255).map(lambda number: f"%{number:02X}")
user_parts = st.lists(
    st.one_of(st.sampled_from(list("aZ9-_.!~*'()&=+$,;?/")), escapes), min_size=1, max_size=8
)
hosts = st.one_of(
    st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.\-]{0,12}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.one_of(st.none(), st.integers(0, 65_535))
uri_words = st.text("aZ9-_.!~*'()[]/:&+$", min_size=1, max_size=6)
uri_params = st.lists(st.tuples(uri_words.map(str.lower), st.one_of(st.none(), uri_words)), max_size=3).map(
    tuple
)
sip_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.one_of(st.none(), user_parts.map("".join)),
    host=hosts,
    port=ports,
    params=uri_params,
    headers=st.one_of(st.none(), st.sampled_from(["subject=x", "a=&b=%20"])),
)
other_uris = st.builds(
    Uri, scheme=st.sampled_from(["tel", "isbn", "urn"]), opaque=st.sampled_from(["+1", "a:b"])
)
uris = st.one_of(sip_uris, other_uris)
params: st.SearchStrategy[Params] = st.lists(
    st.tuples(names, st.one_of(st.none(), tokens, quoted, hosts)), max_size=3
).map(tuple)
addresses = st.builds(NameAddr, uri=uris, params=params, display=st.one_of(st.just(""), tokens, quoted))
vias = st.builds(Via, transport=tokens, host=hosts, port=ports, params=params, version=st.just("2.0"))
hexadecimal = st.text("0123456789abcdef", max_size=64)
credentials = st.builds(
    Credentials,
    username=texts,
    realm=texts,
    nonce=texts,
    uri=texts,
    response=hexadecimal,
    algorithm=st.sampled_from(["MD5", "SHA-256", "MD5-sess"]),
    cnonce=texts.filter(bool),
    qop=st.just("auth"),
    nc=st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}"),
    opaque=texts,
)
