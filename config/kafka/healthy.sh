#!/usr/bin/env bash
# Whether the broker is in its state RUNNING (3), by its own metric: no Java has to be started to ask.
set -euo pipefail
exec 3<>/dev/tcp/localhost/9404
printf 'GET /metrics?name%%5B%%5D=kafka_server_brokerstate HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
grep -q '^kafka_server_brokerstate 3' <&3
