#!/bin/sh
# Installs leptond: picks the file for this computer, verifies it, and hands it to apt-get (without dpkg: unpacks the tarball).
#   sh install.sh
# Nothing is installed that the key below did not sign. Verifying needs minisign or OpenSSL 3, which Raspberry Pi OS and Debian have.
# Run again it updates; a configuration that you changed is kept.
#   LEPTOND_VERSION=0.1.0   this version instead of the newest
#   LEPTOND_DOWNLOAD=URL    a directory with the files of a release, such as a mirror of your own; the same key has to have signed it
#   LEPTOND_ONLY_FETCH=DIR  verifies and leaves the file in DIR, installs nothing
set -eu

key='' # the public key; cross/release writes it in
releases='https://github.com/leptond/leptond/releases'

say() { echo "leptond: $*"; }
fail() {
    echo "leptond: $*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Debian's name of the architecture of the programs here, which on a 64-bit kernel may be 32-bit ones.
architecture() {
    if have dpkg; then
        machine=$(dpkg --print-architecture)
    else
        machine=$(uname -m)
        case "$machine" in
            aarch64 | arm64) if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then machine=armhf; else machine=arm64; fi ;;
            armv7* | armv8l) machine=armhf ;;
            x86_64) if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then machine=i386; else machine=amd64; fi ;;
        esac
    fi
    case "$(uname -m)" in
        armv6*) fail "this board has an ARMv6 processor (Raspberry Pi 1, Zero or Zero W); leptond needs ARMv7 with NEON: a Pi 2 or newer, or a Zero 2 W" ;;
    esac
    case "$machine" in
        arm64 | armhf | amd64) echo "$machine" ;;
        *) fail "there is no leptond for $machine; there is one for arm64, armhf (ARMv7) and amd64" ;;
    esac
}

# glibc 2.36 is that of Debian 12.
libc() {
    version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || version=''
    case "$version" in
        glibc\ *) version=${version#glibc } ;;
        *) fail "this system has another C library than glibc; released files need glibc 2.36 or newer. Building from source works: docs/installing.md" ;;
    esac
    major=${version%%.*} minor=${version#*.} minor=${minor%%.*}
    if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 36 ]; }; then
        fail "glibc $version is here, and leptond needs 2.36 or newer: Debian 12, Raspberry Pi OS of 2023, Ubuntu 22.10 or newer"
    fi
}

# fetch NAME: base/NAME into the working directory, whole or not at all.
fetch() {
    if have curl; then
        curl -fsSL --connect-timeout 20 --speed-time 60 --speed-limit 100 --retry 2 -o "$work/$1.part" "$base/$1" ||
            fail "$base/$1 could not be fetched; nothing was changed, run this again"
    elif have wget; then
        wget -q -T 60 -t 3 -O "$work/$1.part" "$base/$1" || fail "$base/$1 could not be fetched; nothing was changed, run this again"
    else
        fail "curl or wget is needed: sudo apt-get install curl"
    fi
    mv "$work/$1.part" "$work/$1"
}

# verify FILE: fails unless FILE.minisig is a signature of FILE by the key. minisign's form is two bytes of algorithm, eight of the key's
# number and, signed, the BLAKE2b hash of the file; OpenSSL verifies that as well.
verify() {
    [ -n "$key" ] || fail "this script has no key in it: take install.sh of a release, where it is written in"
    if have minisign; then
        minisign -Vqm "$1" -P "$key" >/dev/null 2>&1 || return 1
    elif have openssl && have base64 && openssl version | grep -q '^OpenSSL [3-9]'; then
        sed -n 2p "$1.minisig" | base64 -d >"$work/signature" 2>/dev/null || return 1
        printf '%s' "$key" | base64 -d >"$work/public" 2>/dev/null || return 1
        [ "$(wc -c <"$work/signature")" -eq 74 ] && [ "$(wc -c <"$work/public")" -eq 42 ] || return 1
        [ "$(head -c 2 "$work/signature")" = ED ] || return 1
        dd if="$work/signature" of="$work/signature.raw" bs=1 skip=10 2>/dev/null
        # The fixed beginning of an Ed25519 key as OpenSSL reads it (RFC 8410).
        { printf '\060\052\060\005\006\003\053\145\160\003\041\000' && dd if="$work/public" bs=1 skip=10 2>/dev/null; } >"$work/public.der"
        openssl dgst -blake2b512 -binary -out "$work/hash" "$1" 2>/dev/null || return 1
        openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/public.der" -rawin -in "$work/hash" -sigfile "$work/signature.raw" >/dev/null 2>&1
    else
        fail "neither minisign nor OpenSSL 3 is here, so nothing can be verified, and nothing was installed: sudo apt-get install minisign"
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "installing needs root, and there is no sudo: run this as root"
    fi
}

main() {
    case "${1:-}" in
        '') ;;
        -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" 2>/dev/null || true
                     exit 0 ;;
        *) fail "$1: this script takes no arguments; sh install.sh --help tells what it takes from the environment" ;;
    esac
    asked=${LEPTOND_VERSION:-}
    asked=${asked#v}
    architecture=$(architecture)
    libc
    if [ -n "${LEPTOND_DOWNLOAD:-}" ]; then
        base=${LEPTOND_DOWNLOAD%/}
    elif [ -n "$asked" ]; then
        base=$releases/download/v$asked
    else
        base=$releases/latest/download
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    # apt-get reads the file as its own user.
    chmod 755 "$work"

    fetch SHA256SUMS
    fetch SHA256SUMS.minisig
    verify "$work/SHA256SUMS" || fail "the signature of $base/SHA256SUMS is not by leptond's key: somebody changed it, or it is of another release. Nothing was installed"
    if have dpkg && have apt-get; then
        pattern="leptond_[^_ /]*_$architecture\.deb"
    else
        case "$architecture" in
            arm64) target=aarch64-unknown-linux-gnu ;;
            armhf) target=armv7-unknown-linux-gnueabihf ;;
            amd64) target=x86_64-unknown-linux-gnu ;;
        esac
        pattern="leptond-[^_ /]*-$target\.tar\.gz"
    fi
    line=$(grep -E "^[0-9a-f]{64}  $pattern\$" "$work/SHA256SUMS") || fail "this release has no file for $architecture; $base/SHA256SUMS lists what it has"
    [ "$(printf '%s\n' "$line" | wc -l)" -eq 1 ] || fail "$base/SHA256SUMS names several files for $architecture"
    file=${line#*  }
    version=${file#leptond?} version=${version%%_*}
    case "$file" in *.tar.gz) version=${version%-"$target".tar.gz} ;; esac
    if [ -n "$asked" ] && [ "$version" != "$asked" ]; then
        fail "$asked was asked for, and $base has $version. Nothing was installed"
    fi
    here=''
    # A package that was unpacked and not configured is installed again.
    if [ -z "${LEPTOND_ONLY_FETCH:-}" ] && have dpkg-query; then
        here=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' leptond 2>/dev/null | sed -n 's/^ii *//p')
    fi
    if [ "$here" = "$version" ]; then
        say "$version is installed already"
        exit 0
    elif [ -n "$here" ] && [ -z "$asked" ] && dpkg --compare-versions "$here" gt "$version"; then
        say "$here is installed, which is newer than $version; nothing was changed"
        exit 0
    fi

    fetch "$file"
    (cd "$work" && printf '%s\n' "$line" | sha256sum -c --quiet >/dev/null 2>&1) ||
        fail "$base/$file is not the file that was signed (SHA-256 differs). Nothing was installed"
    say "$file is verified"
    if [ -n "${LEPTOND_ONLY_FETCH:-}" ]; then
        cp "$work/$file" "$LEPTOND_ONLY_FETCH/"
        exit 0
    fi
    case "$file" in
        *.deb)
            downgrade=''
            [ -z "$asked" ] || downgrade=--allow-downgrades
            # Nobody answers here: a configuration that was changed is kept, the new one is put beside it.
            # shellcheck disable=SC2086 # one option or none
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q $downgrade -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
                -o Dpkg::Options::=--force-confold "$work/$file" </dev/null || fail "apt-get did not install $file; what it says stands above"
            ;;
        *.tar.gz)
            tar -xzf "$work/$file" -C "$work"
            (cd "$work/${file%.tar.gz}" && as_root ./install </dev/null) || fail "the tarball's own script did not install it; what it says stands above"
            ;;
    esac
    say "$version is installed. Next:"
    echo "  leptond demo          shows it at work, without camera and broker (Ctrl-C ends it)"
    echo "  sudo leptond setup    asks for broker, camera and model, and writes the configuration"
}

# Only the last line does anything: a script that was cut on its way does nothing.
main "$@"
