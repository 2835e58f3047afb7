#!/bin/bash
# Does what bin/kafka-server-start.sh of Apache Kafka does (read at 4.1.0): where log4j, the heap and the
# arguments are not said by whoever starts it, they are these.
folder=$(dirname "$0")
if [ -z "$KAFKA_LOG4J_OPTS" ]; then
  export KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=$folder/../config/log4j2.yaml"
fi
if [ -z "$KAFKA_HEAP_OPTS" ]; then
  export KAFKA_HEAP_OPTS="-Xmx1G -Xms1G"
fi
# Unset, not empty: that is upstream's test too.
exec "$folder/kafka-run-class.sh" ${EXTRA_ARGS--name kafkaServer -loggc} kafka.Kafka "$@"
