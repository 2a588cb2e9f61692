#!/usr/bin/env bash
# Runs the daemon with models/machine-anomaly on this computer, and says whether it is as silent and as quick as it should.
#
#   tests/tools/machine_anomaly_live.sh quiet [SECONDS]    nothing may be flagged (600 s unless told); leave the machine alone
#   tests/tools/machine_anomaly_live.sh stress [SECONDS]   stress-ng --cpu 0 must be flagged within 5 s of its start
#
# LEPTOND is the program (target/release/leptond). Needs mosquitto and its clients, for stress also stress-ng. Exit code 0
# if it was as it should be, 1 if not, 2 if it could not be tried.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:-}
case $mode in
quiet) seconds=${2:-600} ;;
stress) seconds=${2:-15} ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
leptond=${LEPTOND:-target/release/leptond}
[ -x "$leptond" ] || { echo "$leptond is not there: cargo build --release, or set LEPTOND" >&2; exit 2; }
for tool in mosquitto mosquitto_sub; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 2; }
done
[ "$mode" = quiet ] || command -v stress-ng >/dev/null || { echo "stress-ng is not installed" >&2; exit 2; }

dir=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

port=$((20000 + RANDOM % 20000))
cat >"$dir/leptond.toml" <<EOF
[node]
name = "live"
state_dir = "$dir"

[mqtt]
host = "127.0.0.1"
port = $port

[models]
dirs = ["$PWD/models"]

[[pipeline]]
name = "machine"
model = "machine-anomaly"

[pipeline.source]
type = "sensor"
kind = "machine"
interval_ms = 500
window = 8
stride = 1

[pipeline.governor]
min_fps = 2
EOF
mosquitto -p "$port" >"$dir/mosquitto.log" 2>&1 &
pids+=($!)
subscribe() { mosquitto_sub -h 127.0.0.1 -p "$port" "$@"; }
"$leptond" run --config "$dir/leptond.toml" >"$dir/leptond.log" 2>&1 &
pids+=($!)

first=""
for _ in 1 2 3 4 5 6; do
    first=$(subscribe -t leptond/live/machine/result -C 1 -W 5 2>/dev/null) && break
    sleep 1 # the broker may not listen yet
done
[ -n "$first" ] || { echo "no result came; the daemon said:" >&2; cat "$dir/leptond.log" >&2; exit 2; }

# Lines: seconds since 1970, payload.
mosquitto_sub -h 127.0.0.1 -p "$port" -t leptond/live/machine/event -F '%U %p' >"$dir/events" &
pids+=($!)
mosquitto_sub -h 127.0.0.1 -p "$port" -t leptond/live/machine/result -F '%U %p' >"$dir/results" &
pids+=($!)
begun() { grep '"type":"new"' "$dir/events" || true; }
highest() { sed -n 's/.*"score":\([0-9.e+-]*\).*/\1/p' "$dir/results" | sort -g | tail -1; }

if [ "$mode" = quiet ]; then
    sleep "$seconds"
    count=$(wc -l <"$dir/results")
    flags=$(begun | wc -l)
    echo "quiet: $seconds s, $count results, highest score $(highest), anomalies begun: $flags"
    begun
    [ "$flags" = 0 ] && [ "$count" -gt "$((seconds))" ]
    exit
fi

sleep 5
if [ -n "$(begun)" ]; then
    echo "flagged before the load began: the machine is not quiet" >&2
    begun >&2
    exit 2
fi
start=$(date +%s.%N)
stress-ng --cpu 0 --timeout "${seconds}s" --quiet &
pids+=($!)
deadline=$((SECONDS + seconds))
while [ "$SECONDS" -lt "$deadline" ] && [ -z "$(begun)" ]; do sleep 0.1; done
if [ -z "$(begun)" ]; then
    echo "stress: not flagged within $seconds s, highest score $(highest)"
    exit 1
fi
begun | head -1 | awk -v start="$start" '{ printf "stress: flagged %.2f s after its start\n", $1 - start; exit !($1 - start <= 5) }'
