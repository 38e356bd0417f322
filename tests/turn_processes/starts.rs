//! What a program is given at its start, and programs that do not start.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use postroom_actors::{
    domain::{
        agent::Permissions,
        turn::{TurnEvent, TurnResult},
    },
    ports::turns::{LaunchError, TurnLauncher as _},
};

use super::bench::{Bench, ended, fixture};

#[tokio::test]
async fn a_turn_is_told_its_prompt_and_answers() {
    let mut bench = Bench::new("echo");
    bench.prompt = "first line\nsecond line".to_owned();
    let ended = bench.run().await;
    assert_eq!(
        ended.exit.result,
        TurnResult::Done("first linesecond line".into())
    );
    assert_eq!((ended.exit.exit_code, ended.exit.signal), (Some(0), None));
    assert_eq!(ended.exit.killed, 0);
    assert!(matches!(ended.events[0], TurnEvent::Started { .. }));
    let said: [Arc<str>; 2] = ["first line".into(), "second line".into()];
    assert_eq!(ended.events[1..], said.map(TurnEvent::Said));
}

#[tokio::test]
async fn a_transcript_tells_what_was_run_asked_and_printed() {
    let bench = Bench::new("echo");
    let path = bench.run().await.exit.transcript.unwrap();
    assert_eq!(path.parent().unwrap(), bench.folder.path().join("logs"));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(path).unwrap();
    for part in [
        &bench.turn.to_string(),
        "echo.sh",
        "--- prompt ---\nhello",
        "--- standard output ---\nhello",
        "exit code: 0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("token"));
}

#[tokio::test]
async fn a_long_prompt_arrives_whole() {
    let mut bench = Bench::of_command(&["wc", "-c"]);
    bench.prompt = "x".repeat(1_500_000);
    assert_eq!(
        bench.run().await.exit.result,
        TurnResult::Done("1500000".into())
    );
}

#[tokio::test]
async fn a_program_that_does_not_read_its_long_prompt_is_not_hurt_by_it() {
    for command in ["exit 0", "exec 0<&-; sleep 0.2", "sleep 0.2"] {
        let mut bench = Bench::of_command(&["sh", "-c", &format!("echo said; {command}")]);
        bench.prompt = "x".repeat(1_500_000);
        assert_eq!(
            bench.run().await.exit.result,
            TurnResult::Done("said".into())
        );
    }
}

#[tokio::test]
async fn the_environment_is_what_was_listed_and_nothing_else() {
    let bench = Bench::of_command(&["env"]).variable("CHOSEN", "value");
    let ended = bench.run().await;
    let names: Vec<&str> = ended
        .events
        .iter()
        .filter_map(|event| match event {
            TurnEvent::Said(line) => line.split('=').next(),
            _ => None,
        })
        .collect();
    for given in [
        "CHOSEN",
        "PATH",
        "PLAIN_WORKSPACE",
        "POSTROOM_TURN_ID",
        "POSTROOM_TURN_TOKEN",
    ] {
        assert!(names.contains(&given), "{given} in {names:?}");
    }
    for withheld in [
        "PLAIN_SECRET",
        "CARGO_MANIFEST_DIR",
        "NEXTEST",
        "POSTROOM_RUNNER_OF",
    ] {
        assert!(!names.contains(&withheld), "{withheld} in {names:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_not_found() {
    for program in ["no-such-program", "/no/such/program", ""] {
        let bench = Bench::of_command(&[program]);
        let expected = Err(LaunchError::NotFound(program.to_owned()));
        assert_eq!(bench.processes.check(&bench.profile), expected);
        assert_eq!(bench.launch().await.map(drop), expected);
        bench
            .wait_until_nothing_is_left(Duration::from_secs(5))
            .await;
    }
}

#[tokio::test]
async fn a_program_whose_interpreter_is_missing_or_whose_folder_is_gone_cannot_start() {
    let bench = Bench::new("echo");
    let script = bench.folder.path().join("script");
    fs::write(&script, "\u{1}\u{2}no program").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let bench = Bench::of_command(&[script.to_str().unwrap()]);
    let refusal = bench.launch().await.map(drop).unwrap_err();
    assert!(
        matches!(refusal, LaunchError::CannotStart { .. }),
        "{refusal}"
    );

    let mut bench = Bench::new("echo");
    bench.profile.working_dir = PathBuf::from("/no/such/folder");
    let refusal = bench.launch().await.map(drop).unwrap_err();
    assert!(refusal.to_string().contains("/no/such/folder"), "{refusal}");
    bench
        .wait_until_nothing_is_left(Duration::from_secs(5))
        .await;
}

#[tokio::test]
async fn what_a_dialect_cannot_do_is_said_before_anything_starts() {
    let mut bench = Bench::new("echo");
    bench.profile.permissions = Permissions::Sandboxed;
    let refused = Err(LaunchError::NoSandbox("plain"));
    assert_eq!(bench.processes.check(&bench.profile), refused);
    let mut bench = Bench::new("echo");
    bench.prompt = "x".repeat(2 * 1024 * 1024 + 1);
    let refusal = bench.launch().await.map(drop).unwrap_err();
    assert!(
        matches!(refusal, LaunchError::PromptTooLong { .. }),
        "{refusal}"
    );
}

#[tokio::test]
async fn turns_run_side_by_side() {
    let (first, second) = (Bench::new("echo"), Bench::new("echo"));
    let file = first.folder.path().join("go on");
    let waits = Bench::of_command(&[&fixture("wait_for_file"), file.to_str().unwrap()]);
    let waiting = waits.launch().await.unwrap();
    for bench in [first, second] {
        let running = bench.launch().await.unwrap();
        let other = ended(running.events, Duration::from_secs(10)).await;
        assert_eq!(other.exit.result, TurnResult::Done("hello".into()));
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "").unwrap();
    let last = ended(waiting.events, Duration::from_secs(10)).await;
    assert_eq!(last.exit.result, TurnResult::Done("hello".into()));
}
