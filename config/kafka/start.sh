#!/usr/bin/env bash
# Starts compose's broker: joins the properties of the environment with the common ones, formats its storage where that
# is empty, then runs Kafka with the JMX exporter in it.
set -euo pipefail
properties=$(mktemp)
cat /etc/kafka/common.properties /etc/kafka/environment.properties > "$properties"

# The one user, for the listeners of prod; dev's storage knows it too. Java reads its arguments from a file, because
# command lines can be read by every user of the machine.
arguments=$(mktemp)
cat > "$arguments" <<END
-Xmx128m -cp "/opt/kafka/libs/*" kafka.tools.StorageTool format --ignore-formatted
--cluster-id=bG9nc2x1aWNlLWNvbXBvcw --config $properties
--add-scram "SCRAM-SHA-512=[name=logsluice,password=$(</run/secrets/kafka/password)]"
END
# What it prints has the salted password in it.
"${JAVA_HOME:+$JAVA_HOME/bin/}java" "@$arguments" > /dev/null
rm "$arguments"

export KAFKA_OPTS="-javaagent:/opt/jmx-exporter/jmx_prometheus_javaagent.jar=9404:/etc/kafka/metrics.yaml"
exec /opt/kafka/bin/kafka-server-start.sh "$properties"
