#!/bin/sh
# Installs the servers and phones that the tests talk to, from the distribution, where they are missing.
#
#   deploy/peers.sh test     sipp, redis-server, postgresql, baresip, chromium, openssl, rtpengine, coturn, iproute2,
#                            nftables, fail2ban, systemd
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
        chromium) command -v chromium ;;
        openssl) command -v openssl ;;
        rtpengine-daemon) command -v rtpengine ;;
        coturn) command -v turnserver ;;
        iproute2) command -v ip ;;
        nftables) command -v nft ;;
        fail2ban) command -v fail2ban-regex ;;
        systemd) command -v systemd-analyze ;;
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
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $1 >&2
}

case ${1-} in
    test) wanted="sip-tester redis-server postgresql baresip-core chromium openssl rtpengine-daemon coturn iproute2 nftables fail2ban systemd" ;;
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
