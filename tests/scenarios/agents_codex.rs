//! The real `codex` as an agent.

use crate::{
    agents_real as real,
    support::{real_cli::Cli::Codex, tools::ClientResult},
};

#[actix_web::test]
async fn the_openai_sdk_chats_with_codex_keeps_its_sessions_apart_and_streams() -> ClientResult {
    real::sdk_sections_pass(Codex, &["chat", "sessions", "stream", "errors"]).await
}

#[actix_web::test]
async fn the_openai_sdk_has_codex_work_in_the_background_and_cancels_it() -> ClientResult {
    real::sdk_sections_pass(Codex, &["background", "cancel", "follow-up"]).await
}

#[actix_web::test]
async fn a_session_is_resumed_and_another_user_has_another() -> ClientResult {
    real::sessions_are_resumed(Codex).await
}

#[actix_web::test]
async fn two_requests_of_one_session_run_one_after_the_other() -> ClientResult {
    real::one_session_runs_one_turn_at_a_time(Codex).await
}

#[actix_web::test]
async fn sessions_run_side_by_side_up_to_the_limit() -> ClientResult {
    real::sessions_run_side_by_side_up_to_the_limit(Codex).await
}

#[actix_web::test]
async fn cancelling_a_turn_inside_a_tool_leaves_no_process() -> ClientResult {
    real::cancelling_a_turn_inside_a_tool_leaves_no_process(Codex).await
}

#[actix_web::test]
async fn a_kill_of_the_broker_loses_no_background_response() -> ClientResult {
    real::a_kill_of_the_broker_loses_no_background_response(Codex).await
}

#[actix_web::test]
async fn a_backend_that_is_down_is_an_error_in_time() -> ClientResult {
    real::a_backend_that_is_down_is_an_error_in_time(Codex).await
}

#[actix_web::test]
async fn a_refusal_of_the_vendor_is_told() -> ClientResult {
    real::a_refusal_of_the_vendor_is_told(Codex, "told to fail with 401").await
}

#[actix_web::test]
async fn a_tool_can_call_back() -> ClientResult {
    real::a_tool_can_call_back(Codex).await
}

#[actix_web::test]
async fn a_lost_session_is_begun_anew() -> ClientResult {
    real::a_lost_session_is_begun_anew(Codex, "codex/sessions").await
}
