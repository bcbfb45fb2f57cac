#!/bin/sh
# Installs the servers and phones that the tests talk to, from the distribution, where they are missing.
#
#   deploy/peers.sh test     sipp, redis-server, postgresql, baresip, linphone-cli, chromium, openssl, rtpengine, coturn, iproute2,
#                            nftables, fail2ban, systemd, faketime, haproxy, kamailio, and of prometheus its promtool alone
#   deploy/peers.sh bench    sipp, redis-server, postgresql, kamailio with its Redis modules
#
# Only root can install. Anybody else is told what is missing and the line that installs it; the suites that
# need it are then left out. With CI=true a peer that is missing at the end is a failure.
set -eu

PATH=$PATH:/usr/sbin:/sbin
POLICY=/usr/sbin/policy-rc.d

is_file() {
    for file; do
        [ -e "$file" ] && return
    done
    return 1
}

is_there() {
    case $1 in
        sip-tester) command -v sipp ;;
        redis-server) command -v redis-server && command -v redis-cli ;;
        postgresql) is_file /usr/lib/postgresql/*/bin/initdb && command -v psql ;;
        baresip-core) command -v baresip ;;
        linphone-cli) command -v linphone-daemon ;;
        chromium) command -v chromium ;;
        openssl) command -v openssl ;;
        rtpengine-daemon) command -v rtpengine ;;
        coturn) command -v turnserver ;;
        iproute2) command -v ip ;;
        nftables) command -v nft ;;
        fail2ban) command -v fail2ban-regex ;;
        systemd) command -v systemd-analyze ;;
        faketime) command -v faketime ;;
        haproxy) command -v haproxy ;;
        prometheus) command -v promtool ;;
        kamailio) command -v kamailio ;;
        kamailio-redis-modules) is_file /usr/lib*/kamailio/modules/db_redis.so /usr/lib/*/kamailio/modules/db_redis.so ;;
    esac >/dev/null 2>&1
}

missing() {
    for package in $wanted; do
        is_there "$package" || printf '%s ' "$package"
    done
}

# Debian starts a service when its package is installed; these would take ports 2223, 3478, 5060, 5432 and 6379. A policy
# that forbids it stands for as long as the installation runs, unless the machine has one of its own.
forbid_services() {
    [ -e "$POLICY" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

install() {
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || echo "peers: the package lists could not be renewed, trying with the old ones" >&2
    case " $1 " in *" prometheus "*) take_promtool ;; esac
    packages=$(printf '%s' "$1" | sed 's/\<prometheus\>//')
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $packages >&2
}

# One program out of the package, which would bring a server and its pages: 19 MB to fetch, 48 MB to keep.
take_promtool() {
    folder=$(mktemp -d)
    chmod 777 "$folder" # apt fetches as another user
    if (cd "$folder" && apt-get download -qq prometheus >&2) &&
        dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$folder/promtool"; then
        chmod 755 "$folder/promtool"
        mv "$folder/promtool" /usr/local/bin/promtool
    fi
    rm -rf "$folder"
}

case ${1-} in
    test) wanted="sip-tester redis-server postgresql baresip-core linphone-cli chromium openssl rtpengine-daemon coturn iproute2 nftables fail2ban systemd faketime haproxy kamailio prometheus" ;;
    bench) wanted="sip-tester redis-server postgresql kamailio kamailio-redis-modules" ;;
    *)
        echo "usage: deploy/peers.sh test|bench" >&2
        exit 2
        ;;
esac

lacking=$(missing)
[ -z "$lacking" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "peers: missing, and there is no apt-get here to install them: $lacking" >&2
elif [ "$(id -u)" -ne 0 ]; then
    echo "peers: missing: $lacking" >&2
    echo "peers: root installs them with" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends $lacking" >&2
else
    echo "peers: installing $lacking" >&2
    install "$lacking" || echo "peers: the installation failed" >&2
    lacking=$(missing)
    [ -z "$lacking" ] && exit 0
    echo "peers: still missing: $lacking" >&2
fi

if [ "${CI-}" = true ]; then
    exit 1
fi
echo "peers: the suites that need them are left out" >&2
