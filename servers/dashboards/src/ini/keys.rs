//! Every section and key that Grafana's configuration has, so that a misspelt one is told from one that means nothing here.

/// Keys by section. `*` stands for any key.
static SECTIONS: &[(&str, &str)] = &[
    ("", "app_mode instance_name force_migration target stack_id"),
    ("environment", "stack_id"),
    ("paths", "data temp_data_lifetime logs plugins provisioning permitted_provisioning_paths"),
    (
        "server",
        "protocol min_tls_version http_addr http_port domain enforce_domain root_url serve_from_sub_path router_logging \
         static_root_path enable_gzip cert_file cert_key cert_pass certs_watch_interval socket_gid socket_mode socket \
         cdn_url read_timeout cert_expiry_alert_days grpc_address",
    ),
    ("server.custom_response_headers", "*"),
    ("grpc_server", "network address use_tls cert_file key_file max_recv_msg_size max_send_msg_size enabled"),
    (
        "database",
        "type host name user password url max_idle_conn max_open_conn conn_max_lifetime log_queries ssl_mode ssl_sni \
         isolation_level ca_cert_path client_key_path client_cert_path server_cert_name path cache_mode wal \
         locking_attempt_timeout_sec query_retries transaction_retries migration_locking instrument_queries \
         high_availability skip_migrations delete_auto_gen_ids skip_dashboard_uid_migration_on_startup",
    ),
    ("remote_cache", "type connstr prefix encryption"),
    ("query", "concurrent_query_limit"),
    (
        "dataproxy",
        "logging timeout dialtimeout keep_alive_seconds tls_handshake_timeout_seconds expect_continue_timeout_seconds \
         max_conns_per_host max_idle_connections idle_conn_timeout_seconds send_user_header response_limit row_limit \
         user_agent",
    ),
    (
        "analytics",
        "enabled reporting_enabled reporting_distributor check_for_updates check_for_plugin_updates \
         google_analytics_ua_id google_analytics_4_id google_analytics_4_send_manual_page_views google_tag_manager_id \
         rudderstack_write_key rudderstack_data_plane_url rudderstack_sdk_url rudderstack_v3_sdk_url \
         rudderstack_config_url rudderstack_integrations_url intercom_secret application_insights_connection_string \
         application_insights_endpoint_url application_insights_auto_route_tracking feedback_links_enabled \
         browser_console_reporter max_open_source_feedback",
    ),
    (
        "security",
        "disable_initial_admin_creation admin_user admin_password admin_email secret_key encryption_provider \
         available_encryption_providers disable_gravatar data_source_proxy_whitelist \
         disable_brute_force_login_protection brute_force_login_protection_max_attempts \
         disable_username_login_protection disable_ip_address_login_protection cookie_secure cookie_samesite \
         allow_embedding strict_transport_security strict_transport_security_max_age_seconds \
         strict_transport_security_preload strict_transport_security_subdomains x_content_type_options \
         x_xss_protection content_security_policy content_security_policy_template \
         content_security_policy_report_only content_security_policy_report_only_template angular_support_enabled \
         csrf_trusted_origins csrf_additional_headers csrf_always_check disable_frontend_sandbox_for_plugins \
         enable_frontend_sandbox_for_plugins actions_allow_post_url login_remember_days cookie_username \
         cookie_remember_name secret_key_file",
    ),
    ("security.encryption", "data_keys_cache_ttl data_keys_cache_cleanup_interval"),
    ("secrets_manager", "*"),
    (
        "snapshots",
        "enabled external_enabled external_snapshot_url external_snapshot_name public_mode snapshot_remove_expired",
    ),
    (
        "dashboards",
        "versions_to_keep min_refresh_interval default_home_dashboard_path dashboard_performance_metrics \
         panel_series_limit",
    ),
    ("dashboard_cleanup", "*"),
    (
        "datasources",
        "datasource_limit concurrent_query_count default_manage_alerts_ui_toggle default_allow_recording_rules_target_alerts_ui_toggle",
    ),
    ("sql_datasources", "max_open_conns_default max_idle_conns_default max_conn_lifetime_default"),
    (
        "users",
        "allow_sign_up allow_org_create auto_assign_org auto_assign_org_id auto_assign_org_role verify_email_enabled \
         login_default_org_id login_hint password_hint default_theme default_language default_locale home_page \
         external_manage_link_url external_manage_link_name external_manage_info external_manage_analytics \
         viewers_can_edit editors_can_admin user_invite_max_lifetime_duration verification_email_max_lifetime_duration \
         last_seen_update_interval hidden_users allow_multiple_organizations",
    ),
    ("service_accounts", "token_expiration_day_limit"),
    (
        "auth",
        "login_cookie_name login_maximum_inactive_lifetime_duration login_maximum_lifetime_duration \
         login_maximum_inactive_lifetime_days login_maximum_lifetime_days token_rotation_interval_minutes \
         disable_login disable_login_form disable_signout_menu signout_redirect_url oauth_auto_login \
         oauth_login_error_message oauth_state_cookie_max_age oauth_refresh_token_server_lock_min_wait_ms \
         oauth_skip_org_role_update_sync oauth_allow_insecure_email_lookup oauth_id_token_cache_size \
         api_key_max_seconds_to_live sigv4_auth_enabled sigv4_verbose_logging azure_auth_enabled \
         azure_skip_org_role_sync skip_org_role_sync id_response_header_enabled id_response_header_prefix \
         id_response_header_namespaces managed_service_accounts_enabled passwordless",
    ),
    ("auth.sso_settings", "*"),
    ("auth.anonymous", "enabled org_name org_role hide_version device_limit"),
    ("auth.github", "*"),
    ("auth.gitlab", "*"),
    ("auth.google", "*"),
    ("auth.grafananet", "*"),
    ("auth.grafana_com", "*"),
    ("auth.azuread", "*"),
    ("auth.okta", "*"),
    ("auth.generic_oauth", "*"),
    ("auth.basic", "enabled password_policy"),
    (
        "auth.proxy",
        "enabled header_name header_property auto_sign_up sync_ttl whitelist headers headers_encoded \
         enable_login_token ldap_sync_ttl",
    ),
    (
        "auth.jwt",
        "enabled enable_login_token header_name email_claim username_claim email_attribute_path \
         username_attribute_path jwk_set_url jwk_set_file jwk_set_bearer_token_file cache_ttl expect_claims \
         expected_claims key_file key_id role_attribute_path role_attribute_strict groups_attribute_path \
         org_attribute_path org_mapping auto_sign_up url_login allow_assign_grafana_admin skip_org_role_sync \
         tls_client_ca tls_skip_verify_insecure",
    ),
    ("auth.ldap", "enabled config_file allow_sign_up skip_org_role_sync sync_cron active_sync_enabled"),
    ("auth.extended_jwt", "*"),
    ("auth.scim", "*"),
    ("passwordless.magic_link", "*"),
    ("sso_settings", "*"),
    ("aws", "*"),
    ("azure", "*"),
    ("rbac", "*"),
    ("operations", "*"),
    (
        "smtp",
        "enabled host user password cert_file key_file skip_verify from_address from_name ehlo_identity \
         starttls_policy enable_tracing",
    ),
    ("smtp.static_headers", "*"),
    ("emails", "welcome_email_on_sign_up templates_pattern content_types"),
    ("log", "mode level filters user_facing_default_error"),
    ("log.console", "level format"),
    ("log.file", "level format log_rotate max_lines max_size_shift daily_rotate max_days"),
    ("log.syslog", "level format network address facility tag"),
    ("log.frontend", "*"),
    ("faro", "*"),
    ("frontend_dev", "*"),
    (
        "quota",
        "enabled org_user org_dashboard org_data_source org_api_key org_alert_rule user_org global_user global_org \
         global_dashboard global_data_source global_api_key global_session global_alert_rule global_file \
         global_correlations alerting_rule_group_rules alerting_rule_evaluation_results",
    ),
    (
        "unified_alerting",
        "enabled disabled_orgs admin_config_poll_interval alertmanager_config_poll_interval ha_listen_address \
         ha_advertise_address ha_peers ha_peer_timeout ha_label ha_gossip_interval ha_push_pull_interval \
         ha_reconnect_timeout ha_redis_address ha_redis_username ha_redis_password ha_redis_db ha_redis_prefix \
         ha_redis_peer_name ha_redis_max_conns ha_redis_tls_enabled ha_redis_tls_cert_path ha_redis_tls_key_path \
         ha_redis_tls_ca_path ha_redis_tls_server_name ha_redis_tls_insecure_skip_verify ha_redis_tls_cipher_suites \
         ha_redis_tls_min_version ha_redis_cluster_mode_enabled ha_redis_sentinel_mode_enabled \
         ha_redis_sentinel_master_name ha_redis_sentinel_username ha_redis_sentinel_password \
         ha_single_node_evaluation execute_alerts evaluation_timeout max_attempts initial_retry_delay max_retry_delay \
         randomize_initial_delay min_interval default_rule_evaluation_interval disable_jitter jitter_by_rule \
         resolved_alert_retention rule_version_record_limit notification_log_retention \
         notification_history_enabled alertmanager_max_silences_count alertmanager_max_silence_size_bytes \
         alertmanager_max_template_output_bytes deleted_rule_retention evaluation_result_limit \
         state_periodic_save_interval state_periodic_save_batch_size rule_group_rules_limit base_interval \
         remote_alertmanager_sync stateful_rules",
    ),
    (
        "unified_alerting.screenshots",
        "capture capture_timeout max_concurrent_screenshots upload_external_image_storage",
    ),
    ("unified_alerting.reserved_labels", "disabled_labels"),
    (
        "unified_alerting.state_history",
        "enabled backend primary secondaries loki_remote_url loki_remote_read_url loki_remote_write_url \
         loki_basic_auth_username loki_basic_auth_password loki_tenant_id loki_max_query_length loki_max_query_size \
         prometheus_target_datasource_uid prometheus_metric_name prometheus_write_timeout",
    ),
    ("unified_alerting.state_history.external_labels", "*"),
    ("unified_alerting.state_history.annotations", "max_age max_annotations_to_keep"),
    ("unified_alerting.notification_history", "*"),
    ("unified_alerting.prometheus_conversion", "*"),
    ("unified_alerting.upgrade", "*"),
    ("recording_rules", "*"),
    ("recording_rules.custom_headers", "*"),
    ("remote.alertmanager", "*"),
    (
        "alerting",
        "enabled execute_alerts error_or_timeout nodata_or_nullvalues concurrent_render_limit \
         evaluation_timeout_seconds notification_timeout_seconds max_attempts min_interval_seconds \
         max_annotation_age max_annotations_to_keep",
    ),
    ("annotations", "cleanupjob_batchsize tags_length"),
    ("annotations.dashboard", "max_age max_annotations_to_keep"),
    ("annotations.api", "max_age max_annotations_to_keep"),
    ("explore", "enabled defaulttimeoffset hide_logs_download"),
    ("help", "enabled"),
    ("profile", "enabled"),
    ("news", "news_feed_enabled news_feed_url"),
    ("query_history", "enabled"),
    ("short_links", "expire_time"),
    (
        "metrics",
        "enabled interval_seconds disable_total_stats total_stats_collector_interval_seconds basic_auth_username \
         basic_auth_password",
    ),
    ("metrics.environment_info", "*"),
    ("metrics.graphite", "address prefix"),
    ("grafana_net", "url"),
    ("grafana_com", "url api_url sso_api_token"),
    ("tracing.jaeger", "*"),
    ("tracing.opentelemetry", "*"),
    ("tracing.opentelemetry.jaeger", "*"),
    ("tracing.opentelemetry.otlp", "*"),
    ("external_image_storage", "provider"),
    ("external_image_storage.s3", "*"),
    ("external_image_storage.webdav", "*"),
    ("external_image_storage.gcs", "*"),
    ("external_image_storage.azure_blob", "*"),
    ("external_image_storage.local", "*"),
    (
        "rendering",
        "server_url callback_url renderer_token concurrent_render_request_limit default_image_width \
         default_image_height default_image_scale render_key_lifetime concurrent_render_limit",
    ),
    ("panels", "enable_alpha disable_sanitize_html"),
    (
        "plugins",
        "enable_alpha app_tls_skip_verify_insecure allow_loading_unsigned_plugins plugin_admin_enabled \
         plugin_admin_external_manage_enabled plugin_catalog_url plugin_catalog_hidden_plugins public_key_retrieval_disabled \
         public_key_retrieval_on_startup disable_plugins hide_angular_deprecation forward_host_env_vars \
         preinstall preinstall_sync preinstall_async preinstall_disabled preinstall_auto_update preinstall_async_blocklist \
         install_token log_backend_requests update_strategy skip_host_env_vars",
    ),
    (
        "live",
        "max_connections allowed_origins ha_engine ha_engine_address ha_engine_password ha_prefix message_size_limit client_queue_max_size",
    ),
    ("enterprise", "license_path license_text"),
    ("feature_toggles", "*"),
    ("feature_toggles.openfeature", "*"),
    ("feature_management", "*"),
    (
        "date_formats",
        "full_date interval_second interval_minute interval_hour interval_day interval_month interval_year \
         use_browser_locale default_timezone default_week_start",
    ),
    (
        "expressions",
        "enabled sql_expression_cell_limit sql_expression_output_cell_limit sql_expression_query_length_limit sql_expression_timeout",
    ),
    ("geomap", "default_baselayer_config enable_custom_baselayers"),
    ("dashboard_previews.crawler", "*"),
    ("storage", "*"),
    ("search", "*"),
    ("navigation.app_sections", "*"),
    ("navigation.app_standalone_pages", "*"),
    ("public_dashboards", "enabled"),
    ("cloud_migration", "*"),
    ("support_bundles", "*"),
    ("unified_storage", "*"),
    ("provisioning", "*"),
    ("analytics.summaries", "*"),
    ("caching", "*"),
    ("reporting", "*"),
    ("white_labeling", "*"),
    ("time_picker", "*"),
    ("zanzana.client", "*"),
    ("zanzana.server", "*"),
    // Foursight's own: where the probes of the home page look, and the page of the built-in receiver.
    ("foursight", "web_url node_url agent_url metrics_url logs_url slack_receiver_url"),
];

/// Sections whose names go on.
const OPEN_SECTIONS: [&str; 4] = ["plugin.", "unified_storage.", "zanzana.", "storage."];

/// What is unknown about a key, if anything.
pub(super) fn unknown(section: &str, key: &str) -> Option<String> {
    if OPEN_SECTIONS.iter().any(|open| section.starts_with(open)) {
        return None;
    }
    match SECTIONS.iter().find(|(name, _)| *name == section) {
        None => Some(format!("section [{section}] is unknown")),
        Some((_, keys)) if *keys == "*" || keys.split_whitespace().any(|known| known == key) => None,
        Some(_) if section.is_empty() => Some(format!("key {key} is unknown outside of a section")),
        Some(_) => Some(format!("key {key} is unknown in section [{section}]")),
    }
}

/// Every known key with its section; sections of free keys are left out.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let listed = SECTIONS.iter().filter(|(_, keys)| *keys != "*");
    let free = ["auth.github", "auth.gitlab", "auth.google", "auth.okta", "auth.azuread", "auth.generic_oauth"];
    listed
        .flat_map(|(section, keys)| keys.split_whitespace().map(move |key| (*section, key)))
        .chain(free.into_iter().map(|section| (section, "enabled")))
}

/// Defaults that values commonly refer to.
pub(super) fn default_of(section: &str, key: &str) -> Option<&'static str> {
    Some(match (section, key) {
        ("server", "protocol") => "http",
        ("server", "domain") => "localhost",
        ("server", "http_port") => "3000",
        ("server", "http_addr") => "",
        ("paths", "data") => "data",
        (_, "instance_name") => "",
        _ => return None,
    })
}
