//! The whole-program benchmark: Postroom, the Python package it replaces, and nginx, each as a
//! process of its own, in turn on the same load. `benches/README.md` says how to run it.

mod bodies;
mod filesystem;
mod http1;
mod inbox;
mod limit_server;
mod load;
mod messages;
mod mock_backend;
mod options;
mod parts;
mod processes;
mod report;
mod results;
mod scrape;
mod server;
mod stream;
mod targets;
mod tools;
mod turns;

use std::fs;
use std::io::{self, Read as _};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use filesystem::FilesystemState;
use options::{ChildCommand, Options};
use parts::Run;
use report::say;
use results::Results;
use tools::{Tools, target_folder};

/// From here on the machine counts as busy with something else.
const QUIET_LOAD: f64 = 0.5;
/// A healthy filesystem makes a file in less. Unit: µs.
const HEALTHY_CREATE_US: f64 = 200.0;

fn main() -> Result<ExitCode> {
    // Before anything else: a turn's time begins here.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == turns::PROGRAM)
    {
        return turns::program().map(|()| ExitCode::SUCCESS);
    }
    let options = Options::parse();
    match &options.child {
        Some(child) => serve_as_child(child),
        None if !options.bench => {
            say("run this as: cargo bench --bench whole_program");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(benchmark(&options))
        }
    }
}

fn serve_as_child(child: &ChildCommand) -> Result<ExitCode> {
    thread::spawn(end_with_parent);
    match child {
        ChildCommand::LimitServer {
            port,
            folder,
            journal_only,
        } => {
            limit_server::serve(*port, folder, !journal_only)?;
        }
        ChildCommand::MockBackend { port, script } => mock_backend::serve(*port, *script)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The parent holds the other end of standard input: it closes even when the parent is killed.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a child without its parent is done"
)]
fn end_with_parent() {
    drop(io::stdin().read_to_end(&mut Vec::new()));
    std::process::exit(0);
}

async fn benchmark(options: &Options) -> Result<ExitCode> {
    let tools = Tools::find(options)?;
    let folder = tools.data.join(format!("run-{}", std::process::id()));
    let before = describe_machine(&folder)?;
    let mut run = Run {
        options,
        tools: &tools,
        folder: folder.clone(),
        results: Results::default(),
    };
    // Dropping the run's future on a signal ends every server it holds.
    let ended = tokio::select! {
        ended = run.all() => ended,
        () = asked_to_stop() => Err(anyhow::anyhow!("stopped by a signal")),
    };
    let after = filesystem::probe(&folder.join("probe-after"));
    if !options.keep {
        say("deleting the data of this run (--keep keeps it)");
        fs::remove_dir_all(&folder).context("deleting the data of this run")?;
    }
    ended?;
    conclude(options, &tools, &run.results, &[before, after?])
}

async fn asked_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(terminate) => terminate.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        _ = terminated => (),
    }
}

fn describe_machine(folder: &std::path::Path) -> Result<FilesystemState> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let load = processes::load_average();
    say(&format!(
        "{cores} cores, the load generator uses one of them; load average {load:.2}"
    ));
    if load > QUIET_LOAD {
        say("!! the machine is BUSY with something else: figures of this run are noise");
    }
    let state = filesystem::probe(&folder.join("probe-before"))?;
    if state.kind == "tmpfs" || state.kind == "ramfs" {
        bail!(
            "{} is a RAM disk: nothing is synced there; choose another with --dir",
            folder.display()
        );
    }
    say(&describe_filesystem(&state));
    if state.create_us > HEALTHY_CREATE_US {
        say(
            "!! making a file is SLOW here, as ext4 is for some minutes after many deletions: wait",
        );
    }
    Ok(state)
}

fn describe_filesystem(state: &FilesystemState) -> String {
    let FilesystemState {
        kind,
        create_us,
        create_p99_us,
        sync_us,
    } = state;
    format!(
        "filesystem {kind}, a new folder for each cell: making a file {create_us:.0} us \
         (p99 {create_p99_us:.0}), append and sync {sync_us:.0} us"
    )
}

fn conclude(
    options: &Options,
    tools: &Tools,
    results: &Results,
    states: &[FilesystemState; 2],
) -> Result<ExitCode> {
    let stand_in = tools.postroom.is_none();
    let targets = targets::judge(results, options.pick);
    say(&report::tables(results, options.pick));
    say(&report::target_list(&targets, stand_in));
    for state in &states[1..] {
        say(&format!("\nat the end: {}", describe_filesystem(state)));
    }
    let problems = results.problems();
    for problem in &problems {
        say(&format!("!! {problem}"));
    }
    let file = target_folder(&tools.own)?.join("bench-results.json");
    let document = json!({
        "cores": thread::available_parallelism().map_or(1, usize::from),
        "filesystem_before_and_after": states,
        "limit_program_stood_in_for_postroom": stand_in,
        "cells": results.cells, "targets": targets, "problems": problems,
    });
    fs::write(&file, serde_json::to_vec_pretty(&document)?)?;
    say(&format!("written: {}", file.display()));
    let missed = targets
        .iter()
        .any(|target| !target.information && target.passed() == Some(false));
    let failed = !problems.is_empty() || (options.gate && missed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
