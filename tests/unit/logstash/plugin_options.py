"""The options that Logstash's plugins document, by kind of value: those of the plugins that our pipelines use.

From the folder docs of the repositories logstash-plugins/<plugin> at the versions below. Where a list of values is
documented, ``allowed`` has it; ``required`` must be given.
"""

from __future__ import annotations

from typing import Any

VERSIONS = {
    "logstash-integration-kafka": "12.1.4",
    "logstash-input-beats": "7.0.9",
    "logstash-filter-date": "3.1.15",
    "logstash-filter-mutate": "3.6.0",
    "logstash-filter-ruby": "3.1.8",
    "logstash-output-elasticsearch": "12.1.6",
    "logstash-codec-plain": "3.1.0",
    "logstash-codec-json": "3.1.1",
}

# What every plugin of a kind has beside its own.
COMMON: dict[str, dict[str, str]] = {
    "input": {"hash": "add_field", "codec": "codec", "boolean": "enable_metric", "string": "id type", "array": "tags"},
    "filter": {
        "hash": "add_field",
        "array": "add_tag remove_field remove_tag",
        "boolean": "enable_metric periodic_flush",
        "string": "id",
    },
    "output": {"codec": "codec", "boolean": "enable_metric", "string": "id"},
    "codec": {"boolean": "enable_metric", "string": "id"},
}

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("input", "kafka"): {
        "array": "sasl_iam_jar_paths topics",
        "boolean": "auto_create_topics check_crcs enable_auto_commit",
        "number": """
            auto_commit_interval_ms connections_max_idle_ms consumer_threads fetch_max_bytes fetch_max_wait_ms
            fetch_min_bytes heartbeat_interval_ms max_partition_fetch_bytes max_poll_interval_ms
            max_poll_records metadata_max_age_ms poll_timeout_ms receive_buffer_bytes reconnect_backoff_max_ms
            reconnect_backoff_ms request_timeout_ms retry_backoff_ms sasl_login_connect_timeout_ms
            sasl_login_read_timeout_ms sasl_login_retry_backoff_max_ms sasl_login_retry_backoff_ms
            send_buffer_bytes session_timeout_ms
        """,
        "password": """
            schema_registry_ssl_keystore_password schema_registry_ssl_truststore_password ssl_key_password
            ssl_keystore_password ssl_truststore_password
        """,
        "path": """
            jaas_path kerberos_config schema_registry_ssl_keystore_location
            schema_registry_ssl_truststore_location ssl_keystore_location ssl_truststore_location
        """,
        "string": """
            auto_offset_reset bootstrap_servers client_dns_lookup client_id client_rack decorate_events
            exclude_internal_topics group_id group_instance_id group_protocol isolation_level
            key_deserializer_class partition_assignment_strategy sasl_client_callback_handler_class
            sasl_jaas_config sasl_kerberos_service_name sasl_login_callback_handler_class sasl_mechanism
            sasl_oauthbearer_scope_claim_name sasl_oauthbearer_token_endpoint_url schema_registry_key
            schema_registry_secret schema_registry_ssl_keystore_type schema_registry_ssl_truststore_type
            schema_registry_validation security_protocol ssl_endpoint_identification_algorithm ssl_keystore_type
            ssl_truststore_type topics_pattern value_deserializer_class
        """,
        "uri": "schema_registry_proxy schema_registry_url",
        "allowed": {
            "schema_registry_ssl_keystore_type": ["jks", "PKCS12"],
            "schema_registry_ssl_truststore_type": ["jks", "PKCS12"],
            "security_protocol": ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
            "ssl_keystore_type": ["jks", "PKCS12"],
            "ssl_truststore_type": ["jks", "PKCS12"],
        },
    },
    ("input", "beats"): {
        "array": "ssl_certificate_authorities ssl_cipher_suites ssl_supported_protocols",
        "boolean": "add_hostname include_codec_tag ssl_enabled",
        "number": "client_inactivity_timeout event_loop_threads executor_threads port ssl_handshake_timeout",
        "password": "ssl_key_passphrase",
        "path": "ssl_certificate ssl_key",
        "string": "ecs_compatibility enrich host ssl_client_authentication",
        "allowed": {
            "ssl_client_authentication": ["none", "optional", "required"],
        },
        "required": ["port"],
    },
    ("filter", "date"): {
        "array": "match tag_on_failure",
        "string": "locale target timezone",
    },
    ("filter", "mutate"): {
        "array": "capitalize gsub lowercase strip uppercase",
        "hash": "coerce convert copy join merge rename replace split update",
        "string": "tag_on_failure",
    },
    ("filter", "ruby"): {
        "boolean": "tag_with_exception_message",
        "hash": "script_params",
        "string": "code init path tag_on_exception",
    },
    ("output", "kafka"): {
        "array": "sasl_iam_jar_paths",
        "hash": "message_headers",
        "number": """
            batch_size buffer_memory connections_max_idle_ms linger_ms max_request_size
            metadata_fetch_timeout_ms metadata_max_age_ms receive_buffer_bytes reconnect_backoff_max_ms
            reconnect_backoff_ms request_timeout_ms retries retry_backoff_ms sasl_login_connect_timeout_ms
            sasl_login_read_timeout_ms sasl_login_retry_backoff_max_ms sasl_login_retry_backoff_ms
            send_buffer_bytes
        """,
        "password": "ssl_key_password ssl_keystore_password ssl_truststore_password",
        "path": "jaas_path kerberos_config ssl_keystore_location ssl_truststore_location",
        "string": """
            acks bootstrap_servers client_dns_lookup client_id compression_type key_serializer message_key
            partitioner sasl_client_callback_handler_class sasl_jaas_config sasl_kerberos_service_name
            sasl_login_callback_handler_class sasl_mechanism sasl_oauthbearer_scope_claim_name
            sasl_oauthbearer_token_endpoint_url security_protocol ssl_endpoint_identification_algorithm
            ssl_keystore_type ssl_truststore_type topic_id value_serializer
        """,
        "allowed": {
            "acks": ["0", "1", "all"],
            "compression_type": ["none", "gzip", "snappy", "lz4", "zstd"],
            "security_protocol": ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        },
        "required": ["topic_id"],
    },
    ("output", "elasticsearch"): {
        "array": """
            drop_error_types failure_type_logging_whitelist silence_errors_in_log ssl_certificate_authorities
            ssl_cipher_suites
        """,
        "boolean": """
            data_stream_auto_routing data_stream_sync_fields dlq_on_failed_indexname_interpolation doc_as_upsert
            http_compression manage_template scripted_upsert sniffing ssl_enabled template_overwrite
        """,
        "hash": "custom_headers parameters",
        "number": """
            compression_level dlq_custom_codes pool_max pool_max_per_route resurrect_delay
            retry_initial_interval retry_max_interval retry_on_conflict sniffing_delay timeout
            validate_after_inactivity
        """,
        "password": "api_key cloud_auth password ssl_keystore_password ssl_truststore_password",
        "path": "ssl_certificate ssl_key ssl_keystore_path ssl_truststore_path template",
        "string": """
            action bulk_path ca_trusted_fingerprint cloud_id data_stream data_stream_dataset
            data_stream_namespace data_stream_type document_id document_type ecs_compatibility healthcheck_path
            ilm_enabled ilm_pattern ilm_policy ilm_rollover_alias index parent path pipeline routing script
            script_lang script_type script_var_name sniffing_path ssl_keystore_type ssl_supported_protocols
            ssl_truststore_type ssl_verification_mode template_api template_name upsert user version
            version_type
        """,
        "uri": "hosts proxy",
        "allowed": {
            "data_stream": ["true", "false", "auto"],
            "ilm_enabled": ["true", "false", "auto"],
            "script_type": ["inline", "indexed", "file"],
            "ssl_verification_mode": ["full", "none"],
            "template_api": ["auto", "legacy", "composable"],
            "version_type": ["internal", "external", "external_gt", "external_gte", "force"],
        },
    },
    ("codec", "plain"): {
        "string": "charset ecs_compatibility format",
    },
    ("codec", "json"): {
        "string": "charset ecs_compatibility target",
    },
}
