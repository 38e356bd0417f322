//! Scenarios through the real binary: what a user would see, over HTTP, signals and files.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    reason = "a test that fails says so by a panic"
)]

mod agents_chat;
mod agents_claude;
mod agents_codex;
mod agents_commands;
mod agents_faults;
mod agents_hiring;
mod agents_inbox;
mod agents_lifecycle;
mod agents_long;
mod agents_queue;
mod agents_real;
mod agents_response_bodies;
mod agents_response_streams;
mod agents_responses;
mod agents_secrets;
mod auth;
mod backup;
mod bad_input;
mod bridge_commands;
mod bridge_doors;
mod bridge_load;
mod bridge_passing;
mod catalogue;
mod clients_openai_js;
mod clients_openai_python;
mod clients_openclaw;
mod commands;
mod crash_loop;
mod dashboard;
mod dashboard_browser;
mod dashboard_live;
mod descriptors;
mod differential;
mod disk_guard;
mod doctor;
mod durability;
mod full_disk;
mod gone_clients;
mod inbox;
mod keys;
mod messages_codex;
mod messages_commands;
mod messages_delivery;
mod messages_kill_loop;
mod messages_loops;
mod messages_once;
mod messages_refusals;
mod messages_restart;
mod messages_secrets;
mod messages_seed_peer;
mod messages_signatures;
mod messages_turns;
mod messages_two_postrooms;
mod metrics;
mod models;
mod openai_document;
mod openai_embeddings;
mod openai_models;
mod openai_sdks;
mod openai_tools;
mod openai_webhooks;
mod openclaw_forms;
mod origins;
mod overload;
mod prometheus;
mod relay;
mod restart;
mod shutdown;
mod slow_clients;
mod store_check;
mod support;
mod systemd;
mod tail;
mod tls;
mod traces;
mod traces_surfaces;
