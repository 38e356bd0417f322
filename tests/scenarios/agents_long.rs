//! Further real agent CLIs; only in the long run, which installs them.

use crate::{
    agents_real as real,
    support::{
        real_cli::Cli::{self, Copilot, Gemini, Opencode, Qwen},
        tools::ClientResult,
    },
};

fn is_long_run() -> bool {
    std::env::var("POSTROOM_FAULTS").is_ok_and(|faults| faults == "full")
}

async fn everything_holds(cli: Cli) -> ClientResult {
    if !is_long_run() {
        return Ok(());
    }
    real::sessions_are_resumed(cli).await?;
    real::an_answer_is_streamed(cli).await?;
    real::one_session_runs_one_turn_at_a_time(cli).await?;
    real::cancelling_a_turn_inside_a_tool_leaves_no_process(cli).await?;
    real::a_backend_that_is_down_is_an_error_in_time(cli).await?;
    real::a_tool_can_call_back(cli).await
}

#[actix_web::test]
async fn gemini_is_an_agent() -> ClientResult {
    everything_holds(Gemini).await
}

#[actix_web::test]
async fn opencode_is_an_agent() -> ClientResult {
    everything_holds(Opencode).await
}

#[actix_web::test]
async fn qwen_is_an_agent() -> ClientResult {
    everything_holds(Qwen).await
}

#[actix_web::test]
async fn copilot_is_an_agent() -> ClientResult {
    everything_holds(Copilot).await
}
