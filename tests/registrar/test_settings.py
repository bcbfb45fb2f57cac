"""registrar/settings.py: what is read, and that what cannot be used is one line that names its variable."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from registrar.errors import ConfigurationError
from registrar.model import MediaPolicy
from registrar.rules.features import Family
from registrar.settings import STREAMS, Settings, read, redirect_accounts
from tests.every import every

"""Listeners that are on unless somebody turns them off."""


def test_nothing_given_is_the_contract_of_design_4_2() -> None:
    settings = read({"PATH": "/bin", "HOME": "/root"})
    assert settings.data_dir == Path(".registrar")
    assert settings.sip_udp == settings.sip_tcp == (("0.0.0.0", 5060),)
    assert settings.sip_tls == (("0.0.0.0", 5061),)
    assert (settings.sip_ws, settings.sip_wss) == ((), (("0.0.0.0", 8443),))
    assert settings.http == (("127.0.0.1", 8080),)
    assert settings.domain == "registrar.localhost"
    assert settings.trusted_proxies == ()
    assert settings.lock_ipv6_prefix == 64
    assert settings.digest == "md5"
    assert settings.secrets_level == "VIEWER"
    assert settings.pbx_cluster is None
    assert settings.ping_seconds == 30
    assert (settings.rtpengine, settings.media) == ((), MediaPolicy.AUTO)
    assert settings.ring_seconds > 180, "timer C (RFC 3261 section 16.6 step 11)"
    assert settings.wrap_up_seconds == 2
    assert settings.call_history_days == 90
    assert settings.turn_ttl == 3_600
    assert (settings.features, settings.emergency_numbers) == (tuple(Family), ())


@every(
    ("variable", "value", "name", "read_as"),
    [
        pytest.param("SIP_UDP", "127.0.0.1:5070", "sip_udp", (("127.0.0.1", 5070),), id="one listener"),
        pytest.param(
            "SIP_UDP", " 0.0.0.0:1 , [::]:2 ", "sip_udp", (("0.0.0.0", 1), ("::", 2)), id="two listeners"
        ),
        pytest.param("SIP_TCP", "", "sip_tcp", (), id="a listener that is off"),
        pytest.param(
            "SIP_UDP", "127.0.0.1:0", "sip_udp", (("127.0.0.1", 0),), id="a port of the kernel's choice"
        ),
        pytest.param(
            "TRUSTED_PROXIES",
            "10.0.0.0/8, 2001:db8::/32",
            "trusted_proxies",
            (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
            id="networks",
        ),
        pytest.param("TRUSTED_PROXIES", "", "trusted_proxies", (), id="no networks"),
        pytest.param("EDGES", "10.0.0.2/32", "edges", (ip_network("10.0.0.2/32"),), id="edge proxies"),
        pytest.param(
            "WEBHOOK_PRIVATE",
            "10.1.0.0/16",
            "webhook_private",
            (ip_network("10.1.0.0/16"),),
            id="own servers",
        ),
        pytest.param(
            "WEBHOOK_PRIVATE",
            "on",
            "webhook_private",
            (ip_network("0.0.0.0/0"), ip_network("::/0")),
            id="every server",
        ),
        pytest.param("WEBHOOK_PRIVATE", "off", "webhook_private", (), id="public servers"),
        pytest.param("WEBHOOK_PRIVATE", "", "webhook_private", (), id="public servers by default"),
        pytest.param("CORS_ORIGINS", "*", "cors_origins", ("*",), id="every origin"),
        pytest.param(
            "CORS_ORIGINS", "https://a, https://b", "cors_origins", ("https://a", "https://b"), id="two"
        ),
        pytest.param("DOMAIN", "SIP.Example.ORG", "domain", "sip.example.org", id="a domain in lower case"),
        pytest.param("PBX_CLUSTER", "3", "pbx_cluster", 3, id="a cluster"),
        pytest.param("PBX_CLUSTER", "", "pbx_cluster", None, id="an empty cluster is all of them"),
        pytest.param("GEOIP_DATABASE", "", "geoip_database", None, id="an empty file is none"),
        pytest.param("TLS_CERT", "", "tls_cert", None, id="an empty certificate is none"),
        pytest.param("LOCK_IPV6_PREFIX", "128", "lock_ipv6_prefix", 128, id="a prefix"),
        pytest.param("DIGEST", "both", "digest", "both", id="algorithms"),
        pytest.param("RING_SECONDS", "20", "ring_seconds", 20, id="timer C"),
        pytest.param("GROUP_SECONDS", "20", "group_seconds", 20, id="window of a group"),
        pytest.param("GROUP_CALLERS", "0", "group_callers", 0, id="no one waits for a group"),
        pytest.param("QUEUE_CALLERS", "7", "queue_callers", 7, id="callers of a queue"),
        pytest.param("GROUP_DEVICES", "7", "group_devices", 7, id="devices of a group"),
        pytest.param("PHONE_SUBSCRIPTIONS", "0", "phone_subscriptions", 0, id="no lamps"),
        pytest.param("WATCHERS", "7", "watchers", 7, id="watchers"),
        pytest.param("NODE_SUBSCRIPTIONS", "7", "node_subscriptions", 7, id="subscriptions of a node"),
        pytest.param("SIP_HTTP", "", "sip_http", (), id="no pages of the SIP side"),
        pytest.param("SIP_HTTP", "[::1]:8081", "sip_http", (("::1", 8081),), id="pages of the SIP side"),
        pytest.param("WAIT_SECONDS", "60", "wait_seconds", 60, id="longest wait"),
        pytest.param("ALERT_INFO", "true", "alert_info", True, id="ring tones"),
        pytest.param("NO_ANSWER_SECONDS", "3", "no_answer_seconds", 3, id="until it is forwarded"),
        pytest.param("CALL_HISTORY_DAYS", "0", "call_history_days", 0, id="no history"),
        pytest.param("WRAP_UP_SECONDS", "0", "wrap_up_seconds", 0, id="no time to wrap up"),
        pytest.param("MEDIA", "always", "media", MediaPolicy.ALWAYS, id="a media policy"),
        pytest.param("FEATURES", "on", "features", ("dnd", "forward", "queue", "pickup"), id="all codes"),
        pytest.param("FEATURES", "off", "features", (), id="no codes"),
        pytest.param("FEATURES", "pickup, dnd", "features", ("pickup", "dnd"), id="some codes"),
        pytest.param("EMERGENCY_NUMBERS", "000, 114", "emergency_numbers", ("000", "114"), id="numbers"),
        pytest.param(
            "PROV_URL", "https://p.example/x/", "prov_url", "https://p.example/x", id="URL of phones"
        ),
        pytest.param("PROV_HTTP", "", "prov_http", (), id="no listener for phones"),
        pytest.param("PROV_NTP", "", "prov_ntp", "", id="no time server"),
        pytest.param("PROV_SIP_SERVER", "[::1]:5070", "prov_sip_server", "[::1]:5070", id="SIP server"),
        pytest.param("SERVICE_VOICEMAIL", "*97", "service_voicemail", "*97", id="a number for softkeys"),
        pytest.param("RTPENGINE", "", "rtpengine", (), id="no engine"),
        pytest.param(
            "RTPENGINE",
            "10.0.0.1:2223, udp:relay.example.org:2224,[2001:db8::1]:22222",
            "rtpengine",
            (("10.0.0.1", 2223), ("relay.example.org", 2224), ("2001:db8::1", 22_222)),
            id="engines",
        ),
    ],
)
def test_it_is_read(variable: str, value: str, name: str, read_as: object) -> None:
    assert getattr(read({f"REGISTRAR_{variable}": value}), name) == read_as


@every(
    ("variable", "value"),
    [
        pytest.param("SIP_UDP", "5060", id="a port without a host"),
        pytest.param("SIP_UDP", "0.0.0.0", id="a host without a port"),
        pytest.param("SIP_UDP", "0.0.0.0:sip", id="a port that is no number"),
        pytest.param("SIP_UDP", "0.0.0.0:65536", id="a port too high"),
        pytest.param("SIP_UDP", "0.0.0.0:-1", id="a port below"),
        pytest.param("SIP_UDP", "::1:5060", id="IPv6 without brackets"),
        pytest.param("SIP_UDP", "sip.example.org:5060", id="a name to listen on"),
        pytest.param("SIP_UDP", "127.0.0.1:5060;127.0.0.2:5060", id="another separator"),
        pytest.param("HTTP", "localhost", id="HTTP without a port"),
        pytest.param("TRUSTED_PROXIES", "10.0.0.1/8", id="a network with host bits"),
        pytest.param("TRUSTED_PROXIES", "everybody", id="a network that is none"),
        pytest.param("DOMAIN", "", id="no domain"),
        pytest.param("DOMAIN", "sip:example.org", id="a domain that is a URI"),
        pytest.param("DOMAIN", "exa mple.org", id="a domain with a space"),
        pytest.param("LOCK_IPV6_PREFIX", "0", id="no prefix"),
        pytest.param("LOCK_IPV6_PREFIX", "129", id="a prefix too long"),
        pytest.param("DIGEST", "sha1", id="an algorithm that is not offered"),
        pytest.param("SECRET_KEY", "short", id="a short secret"),
        pytest.param("JWT_SECRET", "x" * 31, id="a secret one byte short"),
        pytest.param("SECRET_KEY", "k" * 40, id="a secret of one character"),
        pytest.param("JWT_SECRET", "ab" * 20, id="a secret of two characters"),
        pytest.param("TURN_SECRET", "S", id="a secret for TURN of one character"),
        pytest.param("DATABASE_URL", "postgresql+asyncpg://a:PASSWORD@h/n", id="a placeholder's password"),
        pytest.param("REDIS_URL", "redis://:PASSWORD@h/0", id="a placeholder's password for Redis"),
        pytest.param("SECRETS_LEVEL", "ROOT", id="a level that is none"),
        pytest.param("PBX_CLUSTER", "all", id="a cluster that is no number"),
        pytest.param("PING_SECONDS", "often", id="seconds that are no number"),
        pytest.param("RING_SECONDS", "0", id="no time to answer"),
        pytest.param("GROUP_SECONDS", "0", id="no window"),
        pytest.param("GROUP_CALLERS", "-1", id="less than no callers"),
        pytest.param("QUEUE_CALLERS", "10001", id="too many callers"),
        pytest.param("GROUP_DEVICES", "0", id="no device rings"),
        pytest.param("PHONE_SUBSCRIPTIONS", "-1", id="less than no subscriptions"),
        pytest.param("WATCHERS", "100001", id="too many watchers"),
        pytest.param("NODE_SUBSCRIPTIONS", "many", id="a limit that is no number"),
        pytest.param("SIP_HTTP", "8081", id="pages of the SIP side without a host"),
        pytest.param("WAIT_SECONDS", "86401", id="more than a day"),
        pytest.param("NO_ANSWER_SECONDS", "0", id="never asked"),
        pytest.param("CALL_HISTORY_DAYS", "3651", id="more than ten years"),
        pytest.param("WRAP_UP_SECONDS", "-1", id="a negative time"),
        pytest.param("WRAP_UP_SECONDS", "3601", id="more than an hour to wrap up"),
        pytest.param("PROV_URL", "prov.example.com", id="a URL of phones without a scheme"),
        pytest.param("PROV_URL", "https://user@prov.example.com", id="a URL of phones with a login"),
        pytest.param("PROV_URL", "https://prov.example.com/?x", id="a URL of phones with a query"),
        pytest.param("PROV_OPEN_DAYS", "0", id="no day for a new phone"),
        pytest.param("PROV_MISSES", "0", id="no guess"),
        pytest.param("PROV_WINDOW_SECONDS", "1", id="a window too short"),
        pytest.param("PROV_TIMEZONE", "GMT+1 or so", id="a time zone that is none"),
        pytest.param("PROV_LANGUAGE", "danish", id="a language that is no code"),
        pytest.param("PROV_SIP_SERVER", "sip server", id="a SIP server that is none"),
        pytest.param("PROV_SIP_TRANSPORT", "wss", id="a transport that no desk phone has"),
        pytest.param("PROV_EXPIRES", "10", id="a registration too short"),
        pytest.param("SERVICE_SWITCH", "*21 or so", id="a number that no key dials"),
        pytest.param("TURN_TTL", "5", id="a lifetime too short"),
        pytest.param("MEDIA", "sometimes", id="a word that is none"),
        pytest.param("FEATURES", "dnd, voicemail", id="a family of codes that is none"),
        pytest.param("FEATURES", "on, dnd", id="all codes and one family"),
        pytest.param("EMERGENCY_NUMBERS", "+112", id="an emergency number with a plus"),
        pytest.param("EMERGENCY_NUMBERS", "1", id="an emergency number of one digit"),
        pytest.param("RTPENGINE", "relay.example.org", id="an engine without a port"),
        pytest.param("RTPENGINE", "10.0.0.1:0", id="an engine at no port"),
        pytest.param("RTPENGINE", "10.0.0.1:65536", id="an engine at a port too high"),
        pytest.param("RTPENGINE", "10.0.0.1:²", id="an engine at a port that is no number"),
        pytest.param("RTPENGINE", "tcp:10.0.0.1:2223", id="an engine over TCP"),
        pytest.param("RTPENGINE", "::1:2223", id="an engine with IPv6 without brackets"),
        pytest.param("RTPENGINE", "[relay]:2223", id="an engine with a name in brackets"),
        pytest.param("RTPENGINE", "10.0.0.1:2223;10.0.0.2:2223", id="engines with another separator"),
        pytest.param("DATA_DIR", "", id="no folder"),
        pytest.param("CONFIG", "/nowhere/at/all.toml", id="a file that is not there"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_it(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read({f"REGISTRAR_{variable}": value})
    assert str(caught.value).startswith(f"REGISTRAR_{variable}: ")
    assert "\n" not in str(caught.value)


def test_a_secret_is_not_in_the_line_that_refuses_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read({"REGISTRAR_SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["REGISTRAR_SIP_UPD", "REGISTRAR_", "REGISTRAR_sip_udp"])
def test_an_unknown_variable_stops_the_start(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown setting {name}"):
        read({name: "x"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("REGISTRAR_SIP_UPD", "; did you mean REGISTRAR_SIP_UDP?", id="letters swapped"),
        pytest.param("REGISTRAR_DATABASE", "; did you mean REGISTRAR_DATABASE_URL?", id="cut off"),
        pytest.param("REGISTRAR_sip_udp", "; did you mean REGISTRAR_SIP_UDP?", id="in small letters"),
        pytest.param("REGISTRAR_FOO", "", id="like none"),
        pytest.param("REGISTRAR_", "", id="nothing"),
    ],
)
def test_an_unknown_variable_that_is_like_a_known_one_is_told_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read({name: "x"})
    assert str(caught.value) == f"unknown setting {name}{meant}"


def test_an_unknown_name_in_a_file_is_told_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "registrar.toml"
    path.write_text('sip_upd = "127.0.0.1:5060"')
    with pytest.raises(ConfigurationError) as caught:
        read({"REGISTRAR_CONFIG": str(path)})
    assert str(caught.value).endswith(f"unknown setting sip_upd in {path}; did you mean sip_udp?")


def test_secrets_are_not_shown() -> None:
    settings = read({"REGISTRAR_SECRET_KEY": "kept-" * 8, "REGISTRAR_REDIS_URL": "redis://:hunter2@r/0"})
    assert "kept-" not in repr(settings)
    assert "hunter2" not in repr(settings)


# The TOML file


def from_file(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "registrar.toml"
    path.write_text(text)
    return read({"REGISTRAR_CONFIG": str(path)} | environment)


@every(
    ("value", "names"),
    [
        ("on", tuple(STREAMS)),
        ("off", ()),
        ("", ()),
        ("sip_tls, https", ("sip_tls", "https")),
    ],
)
def test_listeners_of_proxies_are_named(value: str, names: tuple[str, ...]) -> None:
    settings = read({"REGISTRAR_TRUSTED_PROXIES": "10.0.0.1/32", "REGISTRAR_PROXY_PROTOCOL": value})
    assert settings.proxy_protocol == names


@every(
    ("value", "proxies", "problem"),
    [
        ("udp", "10.0.0.1/32", "'udp' is not on, off or a list of sip_tcp"),
        ("sip_udp", "10.0.0.1/32", "'sip_udp' is not on, off or a list of sip_tcp"),
        ("on", "", "needs REGISTRAR_TRUSTED_PROXIES"),
    ],
)
def test_other_listeners_have_no_proxies(value: str, proxies: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read({"REGISTRAR_TRUSTED_PROXIES": proxies, "REGISTRAR_PROXY_PROTOCOL": value})


def test_a_file_says_what_the_environment_does_not(tmp_path: Path) -> None:
    text = """
    sip_udp = ["127.0.0.1:5070", "[::1]:5070"]
    domain = "file.example.org"
    pbx_cluster = 2
    trusted_proxies = ["10.0.0.0/8"]
    """
    settings = from_file(tmp_path, text, REGISTRAR_DOMAIN="environment.example.org")
    assert settings.sip_udp == (("127.0.0.1", 5070), ("::1", 5070))
    assert settings.domain == "environment.example.org"
    assert settings.pbx_cluster == 2
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("sip_upd = 'x'", "REGISTRAR_CONFIG: unknown setting sip_upd", id="an unknown setting"),
        pytest.param("sip_udp = ", "REGISTRAR_CONFIG: ", id="no TOML"),
        pytest.param("digest = 'sha1'", "REGISTRAR_DIGEST: ", id="a value that cannot be used"),
        pytest.param("sip_udp = 5060", "REGISTRAR_SIP_UDP: ", id="a value of another kind"),
        pytest.param("[sip]\nudp = 'x'", "REGISTRAR_CONFIG: unknown setting sip", id="a table"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_file(tmp_path, text)
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "urls",
    [
        "stun:stun.example.com",
        "stun:192.0.2.7:3478, stuns:[2001:db8::7]:5349",
        "",
    ],
)
def test_stun_needs_no_secret(urls: str) -> None:
    assert read({"REGISTRAR_TURN_URLS": urls}).turn_urls == tuple(
        url.strip() for url in urls.split(",") if url
    )


def test_turn_needs_a_secret() -> None:
    urls = "stun:stun.example.com, turn:turn.example.com:3478?transport=udp,turns:[2001:db8::7]"
    with pytest.raises(ConfigurationError) as caught:
        read({"REGISTRAR_TURN_URLS": urls})
    assert str(caught.value) == (
        "REGISTRAR_TURN_URLS: turn:turn.example.com:3478?transport=udp needs REGISTRAR_TURN_SECRET"
    )
    settings = read({"REGISTRAR_TURN_URLS": urls, "REGISTRAR_TURN_SECRET": "hidden"})
    assert len(settings.turn_urls) == 3
    assert "hidden" not in repr(settings)


@every(
    "url",
    [
        "turn.example.com",
        "turn://turn.example.com",
        "turn:",
        "turn:user@turn.example.com",
        "turn:turn.example.com:",
        "turn:turn.example.com?transport=tls",
        "stun:stun.example.com?transport=udp",
        "http://turn.example.com",
        "TURN:turn.example.com",
    ],
)
def test_what_is_no_ice_server_is_one_line(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read({"REGISTRAR_TURN_URLS": url, "REGISTRAR_TURN_SECRET": "shared"})
    assert str(caught.value).startswith(f"REGISTRAR_TURN_URLS: {url!r} is not ")
    assert "\n" not in str(caught.value)


def test_a_listener_for_phones_needs_the_url_that_they_are_told() -> None:
    listening = {"REGISTRAR_PROV_HTTPS": "127.0.0.1:8444"}
    with pytest.raises(ConfigurationError, match=r"^REGISTRAR_PROV_URL: name the URL"):
        read(listening)
    assert read(listening | {"REGISTRAR_PROV_URL": "https://prov.example.com"}).prov_plain is False
    plain = listening | {"REGISTRAR_PROV_URL": "http://prov.example.com"}
    with pytest.raises(ConfigurationError, match="REGISTRAR_PROV_PLAIN=1"):
        read(plain)
    assert read(plain | {"REGISTRAR_PROV_PLAIN": "1"}).prov_plain is True


def test_a_listener_for_old_phones_needs_one_for_the_others() -> None:
    old = {"REGISTRAR_PROV_HTTPS_LEGACY": "127.0.0.1:8445", "REGISTRAR_PROV_URL": "https://prov.example.com"}
    with pytest.raises(ConfigurationError, match=r"^REGISTRAR_PROV_HTTPS is missing beside") as caught:
        read(old)
    assert "\n" not in str(caught.value)
    for name in ("HTTPS", "HTTP"):
        assert read(old | {f"REGISTRAR_PROV_{name}": "127.0.0.1:8444"}).serves_phones


# Redirect services, and secrets in files

SNOM = {"REGISTRAR_REDIRECT_SNOM_USER": "we", "REGISTRAR_REDIRECT_SNOM_PASSWORD": "hidden words"}


def test_a_redirect_service_is_off_without_credentials() -> None:
    assert redirect_accounts(read({})) == ()
    ((service, url, user, password),) = redirect_accounts(read(SNOM))
    assert (service, user, password.get_secret_value()) == ("snom", "we", "hidden words")
    assert url == "https://secure-provisioning.snom.com:8083/xmlrpc/"
    assert "hidden words" not in repr(read(SNOM))


@every(
    ("environment", "words"),
    [
        ({"REGISTRAR_REDIRECT_YMCS_USER": "we"}, "REGISTRAR_REDIRECT_YMCS_PASSWORD is missing"),
        ({"REGISTRAR_REDIRECT_YMCS_PASSWORD": "s"}, "REGISTRAR_REDIRECT_YMCS_USER is missing"),
        (SNOM | {"REGISTRAR_REDIRECT_SNOM_URL": ""}, "REGISTRAR_REDIRECT_SNOM_URL is missing"),
        (SNOM | {"REGISTRAR_REDIRECT_SNOM_URL": "http://snom.test/"}, "does not begin with https://"),
        (SNOM | {"REGISTRAR_REDIRECT_SNOM_URL": "https://a:b@snom.test/"}, "has a name"),
        (SNOM | {"REGISTRAR_REDIRECT_SNOM_PASSWORD_FILE": "/x"}, "are both set"),
        ({"REGISTRAR_REDIRECT_SNOM_PASSWORD_FILE": "/no/file"}, "_PASSWORD_FILE: /no/file: No such file"),
        ({"REGISTRAR_DOMAIN_FILE": "/x"}, "unknown setting REGISTRAR_DOMAIN_FILE"),
    ],
)
def test_an_account_that_cannot_be_used_stops_the_start(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(environment)


def test_a_secret_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    settings = read(
        {
            "REGISTRAR_REDIRECT_GAPS_USER": "cid",
            "REGISTRAR_REDIRECT_GAPS_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    ((service, _, _, password),) = redirect_accounts(settings)
    assert (service, password.get_secret_value()) == ("gaps", "from a file")
