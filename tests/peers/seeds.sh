#!/usr/bin/env bash
# Every curl, jq and openssl line of the documents this project began with, as it stands there, against a pair of boxes.
# Usage: seeds.sh PROGRAM    (as root: it makes itself a network and a table of hosts of its own)
set -euo pipefail
program=$1

if [ "${SEEDS_INSIDE:-}" != yes ]; then
    exec env SEEDS_INSIDE=yes unshare --net --mount --pid --fork --mount-proc "$0" "$program"
fi

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
ip link set lo up
cat > "$work/hosts" <<'HOSTS'
127.0.0.1 localhost
127.0.0.2 tak.yourdomain.com server-a.example.com
127.0.0.3 tak.battalion.mil server-b.example.com remote-server
HOSTS
mount --bind "$work/hosts" /etc/hosts

count=0
# What was expected, and what came.
expect() {
    count=$((count + 1))
    if [ "$2" = "$3" ]; then
        printf 'ok %s: %s\n' "$count" "$1"
    else
        printf 'NOT OK %s: %s\n  expected: %s\n  came:     %s\n' "$count" "$1" "$2" "$3"
        for box in alpha bravo; do printf -- '-- %s\n' "$box"; tail -n 20 "$work/$box/log"; done
        exit 1
    fi
}
holds() { case $3 in *"$2"*) expect "$1" "$2" "$2" ;; *) expect "$1" "$2" "$3" ;; esac; }
# Asks until the answer is there, for at most 30 seconds.
eventually() {
    local came=
    for _ in $(seq 150); do
        came=$("${@:3}" 2>/dev/null) || true
        [ "$came" != "$2" ] || break
        sleep 0.2
    done
    expect "$1" "$2" "$came"
}

box() { # name, address, host name, FreeTAKServer's routes
    mkdir -p "$work/$1/ssl"
    cat > "$work/$1/tombolo.toml" <<TOML
[node]
name = "$3"
advertised_host = "$3"
[listen]
clients_tcp = "$2:8087"
clients_tls = "$2:8089"
federation = ["$2:9000"]
api = "$2:8443"
freetakserver = "$4"
[clock]
gpsd = ""
TOML
    # Its own password, so that the documents' login line is true here.
    printf 'YOUR_ADMIN_PASSWORD\n' | "$program" --config "$work/$1/tombolo.toml" --state "$work/$1/state" token password admin > "$work/$1/log"
    "$program" --config "$work/$1/tombolo.toml" --state "$work/$1/state" run >> "$work/$1/log" 2>&1 &
    for _ in $(seq 150); do
        "$program" --config "$work/$1/tombolo.toml" --state "$work/$1/state" status >/dev/null 2>&1 && return
        sleep 0.2
    done
    cat "$work/$1/log"; exit 1
}
box alpha 127.0.0.2 tak.yourdomain.com 127.0.0.1:19023
box bravo 127.0.0.3 tak.battalion.mil ""

# curl trusts both CAs, as an administrator's machine would; everything else is as the documents have it.
export CURL_HOME=$work
cat "$work"/*/state/pki/ca.pem > "$work/both.pem"
printf 'cacert = "%s/both.pem"\n' "$work" > "$work/.curlrc"

echo "== the first document: login, link, status"
export ADMIN_TOKEN=$(curl -s -X POST https://tak.yourdomain.com:8443/api/login \
  -H "Content-Type: application/json" \
  -d '{"username":"admin","password":"YOUR_ADMIN_PASSWORD"}' | jq -r '.token')
holds "a token" "tmb_" "$ADMIN_TOKEN"
export OTHER_TOKEN=$(curl -s -X POST https://tak.battalion.mil:8443/api/login \
  -d '{"username":"admin","password":"YOUR_ADMIN_PASSWORD"}' | jq -r '.token')

# /ssl/remote-ca.pem is where the box finds it: beside its configuration. The other side registers us first.
curl -s -o "$work/alpha/ssl/remote-ca.pem" -H "Authorization: Bearer $OTHER_TOKEN" https://tak.battalion.mil:8443/api/connection/ca.pem
curl -s -o "$work/bravo/ssl/remote-ca.pem" -H "Authorization: Bearer $ADMIN_TOKEN" https://tak.yourdomain.com:8443/api/connection/ca.pem
curl -s -o /dev/null -X POST https://tak.battalion.mil:8443/api/federation -H "Authorization: Bearer $OTHER_TOKEN" \
  -d '{"name":"company","ca_cert":"/ssl/remote-ca.pem"}'

curl -s -X POST https://tak.yourdomain.com:8443/api/federation \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "BN-TAK-Server",
    "address": "tak.battalion.mil",
    "port": 9000,
    "protocol": "tls",
    "ca_cert": "/ssl/remote-ca.pem",
    "bidirectional": true,
    "enabled": true
  }' > "$work/added"
expect "the link is registered" '"BN-TAK-Server"' "$(jq .name "$work/added")"

status() {
curl -s https://tak.yourdomain.com:8443/api/federation \
  -H "Authorization: Bearer $ADMIN_TOKEN" | jq '.[].status'
# Expected: "connected"
}
eventually "its status" '"connected"' status

echo "== certificates"
cd "$work/alpha/ssl"
PIN=$(openssl x509 -in remote-ca.pem -noout -fingerprint -sha256 \
  | sed 's/://g' | awk -F= '{print $2}')
expect "a fingerprint has 64 digits" 64 "${#PIN}"
pinned=$(curl -s -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN" \
  -d '{"ca_cert": "/ssl/remote-ca.pem", "ca_pin": "SHA256:'"$PIN"'"}' | jq -r '.ca_fingerprints[]')
expect "the pin is taken" "SHA256:$PIN" "$pinned"
wrong=$(curl -s -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN" \
  -d '{"ca_cert": "/ssl/remote-ca.pem", "ca_pin": "SHA256:'"${PIN//[0-9]/0}"'"}' | jq -r '.key')
expect "another pin is not" ca_pin "$wrong"
verified=$(openssl verify -CAfile remote-ca.pem <(openssl s_client -connect remote-server:9000 2>/dev/null </dev/null | openssl x509) 2>&1 || true)
holds "the other side's certificate is of its CA" ": OK" "$verified"
cp "$work/alpha/state/pki/leaf.pem" "$work/server.pem" 2>/dev/null || curl -s -o "$work/server.pem" -H "Authorization: Bearer $ADMIN_TOKEN" https://tak.yourdomain.com:8443/api/connection/federation.pem
holds "dates of the certificate" "notAfter=" "$(openssl x509 -in "$work/server.pem" -noout -dates)"

echo "== keepalive, filters"
kept=$(curl -s -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN" \
  -d '{"keepalive_seconds": 60}' | jq .keepalive_seconds)
expect "keepalive_seconds" 60 "$kept"
filtered=$(
curl -s -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server \
  -H "Authorization: Bearer $ADMIN_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "filters": {
      "cot_types": ["a-f-", "a-n-", "t-x-m-c"],
      "groups": ["Blue", "Command", "Medevac"],
      "direction": "both"
    }
  }')
expect "the filter of the documents" "BN-TAK-Server" "$(jq -r .name <<< "$filtered")"
# The test event is in no group that a box gives it, so the rest of the lines go by type alone.
curl -s -o /dev/null -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN" \
  -d '{"filters": null}'
eventually "up again" '"connected"' status

echo "== the test event"
watch() { # a watcher on the other side, for the time it takes
    python3 - "$OTHER_TOKEN" <<'PYTHON' > "$work/watched" &
import socket, ssl, sys
context = ssl.create_default_context(cafile=__import__("os").environ["CURL_HOME"] + "/both.pem")
raw = socket.create_connection(("tak.battalion.mil", 8443), timeout=30)
stream = context.wrap_socket(raw, server_hostname="tak.battalion.mil")
stream.sendall(("GET /api/events HTTP/1.1\r\nHost: tak.battalion.mil:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n" % sys.argv[1]).encode())
got = b""
while b"FED-TEST-ALPHA" not in got:
    piece = stream.recv(65536)
    if not piece:
        sys.exit("closed: %r" % got)
    got += piece
print("FED-TEST-ALPHA came")
PYTHON
    watcher=$!
    sleep 1
}
watch
cat <<XML > "$work/event.xml"
<?xml version="1.0" standalone="yes"?>
<event version="2.0"
  uid="FED-TEST-$(date +%s)"
  type="a-f-G-U-C"
  time="$(date -u +%FT%TZ)"
  start="$(date -u +%FT%TZ)"
  stale="$(date -u -d '+10 min' +%FT%TZ)"
  how="h-g-i-g-o">
  <point lat="48.1234" lon="24.5678" hae="200.0" ce="10.0" le="999999.0"/>
  <detail>
    <contact callsign="FED-TEST-ALPHA"/>
    <group name="Blue" role="Team Member"/>
  </detail>
</event>
XML
taken=$(curl -s -X POST https://tak.yourdomain.com:8443/api/events -H "Authorization: Bearer $ADMIN_TOKEN" --data-binary @"$work/event.xml" | jq .accepted)
expect "one event is taken" 1 "$taken"
wait "$watcher" || true
expect "a watcher on the other side sees it" "FED-TEST-ALPHA came" "$(cat "$work/watched")"
# Exactly as printed, its date long past and $(date) not expanded: it is taken, too.
cat <<'XML' > "$work/printed.xml"
<?xml version="1.0" standalone="yes"?>
<event version="2.0"
  uid="FED-TEST-$(date +%s)"
  type="a-f-G-U-C"
  time="2026-05-29T12:00:00Z"
  start="2026-05-29T12:00:00Z"
  stale="2026-05-29T12:10:00Z"
  how="h-g-i-g-o">
  <point lat="48.1234" lon="24.5678" hae="200.0" ce="10.0" le="999999.0"/>
  <detail>
    <contact callsign="FED-TEST-ALPHA"/>
    <group name="Blue" role="Team Member"/>
  </detail>
</event>
XML
taken=$(curl -s -X POST https://tak.yourdomain.com:8443/api/events -H "Authorization: Bearer $ADMIN_TOKEN" --data-binary @"$work/printed.xml" | jq .accepted)
expect "the event as printed is taken" 1 "$taken"

counters() {
curl -s https://tak.yourdomain.com:8443/api/federation \
  -H "Authorization: Bearer $ADMIN_TOKEN" | jq '.[] | {name, status, events_forwarded, events_received}'
}
counters | jq -c .
expect "the counters" '["name","status","events_forwarded","events_received"]' "$(counters | jq -c keys_unsorted)"
expect "events_forwarded is not zero" true "$(counters | jq '.events_forwarded > 0')"
curl -s -o /dev/null -X POST https://tak.battalion.mil:8443/api/events -H "Authorization: Bearer $OTHER_TOKEN" --data-binary @"$work/event.xml" || true
sed 's/FED-TEST-/FED-BACK-/' "$work/event.xml" > "$work/back.xml"
curl -s -o /dev/null -X POST https://tak.battalion.mil:8443/api/events -H "Authorization: Bearer $OTHER_TOKEN" --data-binary @"$work/back.xml"
received() { counters | jq '.events_received > 0'; }
eventually "events_received is not zero" true received

echo "== the third document: FreeTAKServer's routes, on the box itself"
curl -s -X PATCH https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN" -o /dev/null \
  -d '{"address": "server-b.example.com", "port": 9000, "enabled": false}'
connected=$(
curl -X POST http://localhost:19023/api/federation/connect \
  -H "Content-Type: application/json" \
  -d '{
    "address": "server-b.example.com",
    "port": 9000,
    "initiator": "server_a_hq_node",
    "protocol": "ssl"
  }' 2>/dev/null | jq -r .remote_server)
expect "connect" "server-b.example.com:9000" "$connected"
connected=$(
curl -X POST http://localhost:19023/api/federation/connect \
  -d '{"address": "server-b.example.com", "port": 9000}' 2>/dev/null | jq -r .remote_server)
expect "connect, in short" "server-b.example.com:9000" "$connected"
fts() {
curl http://localhost:19023/api/federation/status
}
fts_status() { fts | jq -r '.federations[].status'; }
eventually "status" connected fts_status
heard() { fts | jq -r '.federations[0].last_heartbeat | test("^[0-9-]+T[0-9:.]+Z$")'; }
eventually "last_heartbeat is a time" true heard
expect "its keys" '["remote_server","status","node_id","last_heartbeat"]' "$(fts 2>/dev/null | jq -c '.federations[0] | keys_unsorted')"
expect "how many" 1 "$(curl -s http://localhost:19023/api/federation/status | jq '.federations | length')"
holds "which" ":9000" "$(curl -s http://localhost:19023/api/federation/status | jq -r '.federations[].remote_server')"
holds "last heard of" "Z" "$(curl -s http://localhost:19023/api/federation/status | jq -r '.federations[] | "\(.remote_server): \(.last_heartbeat)"')"

echo "== the end"
gone=$(curl -s -o /dev/null -w '%{http_code}' -X DELETE https://tak.yourdomain.com:8443/api/federation/BN-TAK-Server -H "Authorization: Bearer $ADMIN_TOKEN")
expect "DELETE /api/federation/{name}" 204 "$gone"
expect "none is left" '[]' "$(curl -s https://tak.yourdomain.com:8443/api/federation -H "Authorization: Bearer $ADMIN_TOKEN" | jq -c .)"
expect "and its link is down" 0 "$(curl -s http://localhost:19023/api/federation/status | jq '.federations | length')"
printf 'all %s as the documents say\n' "$count"
