#!/bin/sh
# Turns the add-on's options and the Supervisor's broker into leptond's configuration, and becomes leptond.
# Where a file of the user's is, it stays as it is: the options only make the first one. Broker, node, log and page come as environment
# variables, which go before the file.
set -eu

options=${ADDON_OPTIONS:-/data/options.json}
supervisor=${ADDON_SUPERVISOR:-http://supervisor}
config=${ADDON_CONFIG:-/config}/leptond.toml
state=${ADDON_STATE:-/data/leptond}
secrets=${ADDON_SECRETS:-/run/leptond}

say() { echo "leptond add-on: $*"; }
fail() {
    echo "leptond add-on: $*" >&2
    exit 1
}
option() { jq -r --arg key "$1" '.[$key] // "" | tostring' "$options"; }

[ -r "$options" ] || fail "$options cannot be read: this runs as an add-on of Home Assistant"
mkdir -p "$state" "$secrets" "$(dirname "$config")"
chmod 700 "$secrets"

# --- the broker: of the options, or the one that the Supervisor knows -------------------------------------------------
host=$(option mqtt_host)
if [ -n "$host" ]; then
    port=$(option mqtt_port) username=$(option mqtt_username) password=$(option mqtt_password) tls=false
else
    answer=$(curl -fsS --max-time 20 -H "Authorization: Bearer ${SUPERVISOR_TOKEN:-}" "$supervisor/services/mqtt" 2>/dev/null) ||
        fail "Home Assistant has no MQTT broker to offer: install the add-on Mosquitto broker, or set mqtt_host"
    service() { printf '%s' "$answer" | jq -r --arg key "$1" '.data[$key] // "" | tostring'; }
    host=$(service host) port=$(service port) username=$(service username) password=$(service password) tls=$(service ssl)
    [ -n "$host" ] || fail "the Supervisor names no MQTT broker: install the add-on Mosquitto broker, or set mqtt_host"
fi
export LEPTOND__MQTT__HOST="$host" LEPTOND__MQTT__PORT="${port:-1883}" LEPTOND__MQTT__USERNAME="$username"
if [ -n "$password" ]; then
    # In a file: what is in the environment, every program here can read.
    (umask 077 && printf '%s\n' "$password" >"$secrets/mqtt-password")
    export LEPTOND__MQTT__PASSWORD_FILE="$secrets/mqtt-password"
fi
[ "$tls" != true ] || export LEPTOND__MQTT__TLS__CA_FILE=/etc/ssl/certs/ca-certificates.crt
say "broker $host:${port:-1883}"

# --- node, log, page ------------------------------------------------------------------------------------------------
LEPTOND__LOG__LEVEL=$(option log_level)
export LEPTOND__LOG__LEVEL="${LEPTOND__LOG__LEVEL:-info}" LEPTOND__NODE__STATE_DIR="$state"
# A container's machine id is not the board's: a name that stays has to be given.
node=$(option node)
export LEPTOND__NODE__NAME="${node:-home-assistant}"
page=$(option page_password)
if [ -n "$page" ]; then
    (umask 077 && printf '%s\n' "$page" >"$secrets/page-password")
    export LEPTOND__PAGE__ENABLED=true LEPTOND__PAGE__LISTEN=0.0.0.0:8099 LEPTOND__PAGE__PASSWORD_FILE="$secrets/page-password"
fi

# --- the file -------------------------------------------------------------------------------------------------------
if [ ! -e "$config" ]; then
    source=$(option source) model=$(option model) name=$(option name)
    say "writing $config: $source, $model"
    # The source may be several words, as in the configuration: type=files path=/media/meter.
    # shellcheck disable=SC2086
    leptond setup --yes --untested --config "$config" --broker "$host:${port:-1883}" --source $source --model "$model" --name "$name" ||
        fail "source, model and name of the options do not make a configuration (the reason stands above)"
fi

# --- not as root: leptond's own user, with the groups of the cameras that are here ----------------------------------
groups=$(for device in /dev/video* /dev/media* /dev/vcio; do [ ! -c "$device" ] || stat -c %g "$device"; done | sort -u | grep -vx 0 | paste -sd , -)
user=10001
chown -R "$user:$user" "$state" "$secrets"
exec setpriv --reuid "$user" --regid "$user" --groups "$user${groups:+,$groups}" --no-new-privs --inh-caps=-all --bounding-set=-all \
    leptond run --config "$config"
