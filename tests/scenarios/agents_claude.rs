//! The real `claude` as an agent.

use crate::{
    agents_real as real,
    support::{real_cli::Cli::Claude, tools::ClientResult},
};

#[actix_web::test]
async fn the_openai_sdk_chats_with_claude_keeps_its_sessions_apart_and_streams() -> ClientResult {
    real::sdk_sections_pass(Claude, &["chat", "sessions", "stream"]).await
}

#[actix_web::test]
async fn the_openai_sdk_has_claude_work_in_the_background_and_cancels_it() -> ClientResult {
    real::sdk_sections_pass(Claude, &["background", "cancel"]).await
}

#[actix_web::test]
async fn two_requests_of_one_session_run_one_after_the_other() -> ClientResult {
    real::one_session_runs_one_turn_at_a_time(Claude).await
}

#[actix_web::test]
async fn cancelling_a_turn_inside_a_tool_leaves_no_process() -> ClientResult {
    real::cancelling_a_turn_inside_a_tool_leaves_no_process(Claude).await
}

#[actix_web::test]
async fn a_kill_of_the_broker_loses_no_background_response() -> ClientResult {
    real::a_kill_of_the_broker_loses_no_background_response(Claude).await
}

#[actix_web::test]
async fn a_backend_that_is_down_is_an_error_in_time() -> ClientResult {
    real::a_backend_that_is_down_is_an_error_in_time(Claude).await
}

#[actix_web::test]
async fn a_tool_can_call_back() -> ClientResult {
    real::a_tool_can_call_back(Claude).await
}
