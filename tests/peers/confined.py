"""What a systemd unit forbids, put upon one program where no systemd runs.

    python -m tests.peers.confined UNIT STATE_DIRECTORY PROGRAM [ARGUMENT ...]

as root: the file system is read-only but for the state directory, /dev has no devices, and capabilities,
system calls, address families, namespaces and executable memory are as the unit says (systemd.exec(5)). The
user, /tmp and /home stay as they are: the program under test lies there.
"""

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ALLOW, REFUSE_EPERM = 0x7FFF0000, 0x00050001
EQUAL: Final = 4
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
FAMILIES: Final = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
DEVICES: Final = "null zero full random urandom"
MOUNTS: Final = """
mount --bind "$1" "$1"
mkdir /run/confined-dev 2>/dev/null || true
mount -t tmpfs tmpfs /run/confined-dev
for name in $3; do touch /run/confined-dev/$name; mount --bind /dev/$name /run/confined-dev/$name; done
mount --move /run/confined-dev /dev
awk '{print $5}' /proc/self/mountinfo | grep -v -e "^$1\\$" -e '^/dev' -e '^/proc' -e '^/sys' |
    while read -r point; do mount -o remount,bind,ro "$point"; done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
shift 3
exec "$@"
"""


class Unit:
    """The directives of a unit."""

    def __init__(self, path: Path) -> None:
        self._rows = re.findall(r"^([A-Za-z]+)=(.*)$", path.read_text(), re.MULTILINE)

    def all(self, name: str) -> list[str]:
        """The values of a directive that may stand several times."""
        return [value for key, value in self._rows if key == name]

    def on(self, name: str) -> bool:
        """Whether a directive is `true`."""
        return self.all(name)[-1:] == ["true"]

    def words(self, name: str) -> list[str]:
        """The words of a directive."""
        return " ".join(self.all(name)).split()


def confined(unit: Path, state: Path, *argv: str) -> list[str]:
    """The command line that runs another one under the unit."""
    inside = [sys.executable, "-m", "tests.peers.confined", str(unit), *argv]
    kept = [f"+{name.removeprefix('CAP_').lower()}" for name in Unit(unit).words("CapabilityBoundingSet")]
    capabilities = ",".join(["-all", *kept])
    rights = [f"--{kind}={capabilities}" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    privileges = ["setpriv", *rights, *(["--no-new-privs"] if Unit(unit).on("NoNewPrivileges") else [])]
    shell = ["sh", "-ec", MOUNTS, "sh", str(state), "devices", DEVICES]
    return ["unshare", "--mount", "--propagation", "private", *shell, *privileges, *inside]


def system_calls(filters: list[str]) -> set[str]:
    """What `SystemCallFilter` leaves: a list, and what `~` takes out of it."""
    allowed: set[str] = set()
    for row in filters:
        names = _calls(row.removeprefix("~").split())
        allowed = allowed - names if row.startswith("~") else allowed | names
    return allowed


def _calls(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        argv = ["systemd-analyze", "--no-pager", "syscall-filter", name]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        found |= _calls(line.strip() for line in shown.splitlines()[1:] if line.strip()[:1] not in ("", "#"))
    return found


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def forbid(unit: Unit) -> None:
    """Put the filter of system calls and the rule for memory upon this process, for good."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(REFUSE_EPERM))
    special = {"socket", "unshare", "setns"} if unit.on("RestrictNamespaces") else {"socket"}
    for name in sorted(system_calls(unit.all("SystemCallFilter")) - special):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others belong to another machine
            _done(library.seccomp_rule_add_array(context, ALLOW, number, 0, None), name)
    socket = library.seccomp_syscall_resolve_name(b"socket")
    for family in (FAMILIES[name] for name in unit.words("RestrictAddressFamilies")):
        equal = Comparison(0, EQUAL, family, 0)
        _done(library.seccomp_rule_add_array(context, ALLOW, socket, 1, ctypes.byref(equal)), "socket")
    _done(library.seccomp_load(context), "the filter")
    if unit.on("MemoryDenyWriteExecute"):
        _done(ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0), "MemoryDenyWriteExecute")


def _done(answer: int, what: str) -> None:
    if answer != 0:
        raise OSError(-answer, f"{what}: {os.strerror(-answer)}")


def main() -> None:
    unit, *argv = sys.argv[1:]
    forbid(Unit(Path(unit)))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
