"""registrar/store/node_certificate.py, transport/node_tls.py: nodes with one secret believe each other."""

import ssl
from collections.abc import Callable
from functools import partial

import pytest

from registrar.model import Epoch
from registrar.store.keyring import Keyring, fingerprint
from registrar.store.node_certificate import node_pair
from registrar.transport.node_tls import NodeTls, from_memory

OLD, NEW = "the old secret of the tests, long enough", "the new secret of the tests, long enough"
NOW = Epoch(1_790_000_000.0)


def node(keys: Keyring) -> NodeTls:
    def load(context: ssl.SSLContext) -> None:
        pair = node_pair(keys, NOW)
        from_memory(context, pair.certificate, pair.key, pair.authorities)

    return NodeTls(load)


def shake(client: NodeTls, server: NodeTls) -> bool:
    """Whether both sides are content with each other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.client.wrap_bio(to_client, to_server, server_hostname="node")
    other = server.server.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[Callable[[], object]] = [
        one.do_handshake,
        other.do_handshake,
        partial(one.read, 1),
        partial(other.read, 1),
    ]
    for _ in range(6):
        for step in list(waiting):
            try:
                step()
                waiting.remove(step)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return one.version() == "TLSv1.3" and waiting[:1] != [one.do_handshake]


def test_nodes_with_one_key_believe_each_other() -> None:
    assert shake(node(Keyring(OLD)), node(Keyring(OLD)))
    assert not shake(node(Keyring(OLD)), node(Keyring(NEW)))


@pytest.mark.parametrize("active", [OLD, NEW])
def test_nodes_with_two_keys_believe_those_with_one(active: str) -> None:
    both = Keyring(NEW, OLD)
    both.use(active=fingerprint(active))
    assert shake(node(both), node(both))
    assert shake(node(both), node(Keyring(active)))
    assert shake(node(Keyring(active)), node(both))
