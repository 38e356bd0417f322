//! From an order to a turn that runs.

use std::{io, os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Duration};

use futures_util::stream;
use postroom_actors::{
    domain::{
        ids::TurnId,
        turn::{TurnEvent, TurnOrder},
    },
    ports::turns::{LaunchError, RunningTurn},
};
use tokio::{
    net::unix::pipe::Receiver,
    sync::{mpsc, oneshot},
    task,
    time::{self, Instant},
};

use super::{
    TurnProcesses, cleanup,
    control::Control,
    environment::{self, Sources},
    limits::Limits,
    protocol::{Order, Report, StartProblem, TURN_VARIABLE},
    runner_process::{self, Pipes, RunnerProcess},
    supervise::{Parts, Turn, Watch},
    transcript::{self, Transcript},
};
use crate::adapters::cli_dialects::{Dialect, StopSignal, TurnShape};

/// So many events wait for their reader; then the turn's output is not read on.
const EVENTS_IN_FLIGHT: usize = 8;

/// How long a runner may take to say whether the program runs.
const LONGEST_START: Duration = Duration::from_secs(10);

/// Starts a turn; answers once its program runs.
pub(super) async fn launch(
    processes: TurnProcesses,
    turn: TurnOrder,
) -> Result<RunningTurn, LaunchError> {
    let started_at = Instant::now();
    let turn = Arc::new(turn);
    let program = turn.profile.command.first().cloned().unwrap_or_default();
    let begin = {
        let (processes, turn) = (processes.clone(), Arc::clone(&turn));
        move || begin(&processes, &turn)
    };
    // The program is looked up and the runner started where blocking is allowed.
    let Begun {
        order,
        dialect,
        runner,
        pipes,
    } = task::spawn_blocking(begin)
        .await
        .map_err(|error| cannot_start(&program, &error.to_string()))??;
    let (mut control, stdout, stderr) =
        connect(pipes).map_err(|error| problem_of_ours(&program, &error))?;
    let report = time::timeout(LONGEST_START, start(&mut control, &order)).await;
    let pid = match report.unwrap_or_default() {
        Some(Report::Started { pid }) => pid,
        Some(Report::CannotStart { kind, reason }) => {
            return Err(refusal(&program, kind, &reason));
        }
        _ => {
            give_up(&processes, turn.turn, runner).await;
            return Err(cannot_start(&program, "its runner does not work"));
        }
    };
    let (events, seen) = mpsc::channel(EVENTS_IN_FLIGHT);
    let (stop, stop_asked) = oneshot::channel();
    // There is room: nothing was sent before.
    let _sent = events.try_send(TurnEvent::Started { pid });
    let parts = Parts {
        control,
        stdout,
        stderr,
        stop: stop_asked,
        events,
        limits: Limits::new(turn.profile.limits, started_at),
        reader: dialect.reader(turn.usage_before),
        transcript: begin_transcript(&processes, &turn, &order),
    };
    let running = Turn {
        id: turn.turn,
        runner,
        runners: processes.runners,
        watch: Watch::new(parts),
        clock: Arc::clone(&processes.options.clock),
    };
    task::spawn(running.supervise());
    Ok(running_turn(seen, stop))
}

fn running_turn(mut seen: mpsc::Receiver<TurnEvent>, stop: oneshot::Sender<()>) -> RunningTurn {
    RunningTurn {
        events: Box::pin(stream::poll_fn(move |context| seen.poll_recv(context))),
        stop: Box::new(move || {
            let _has_ended = stop.send(());
        }),
    }
}

/// Ends a turn whose runner did not say whether it has begun.
async fn give_up(processes: &TurnProcesses, turn: TurnId, runner: RunnerProcess) {
    let runners = processes.runners.clone();
    let end = move || cleanup::end_turn(turn, runner, &runners);
    let _cleaned = task::spawn_blocking(end).await;
}

/// A runner that waits for its order.
struct Begun {
    order: Order,
    dialect: &'static dyn Dialect,
    runner: RunnerProcess,
    pipes: Pipes,
}

fn begin(processes: &TurnProcesses, turn: &TurnOrder) -> Result<Begun, LaunchError> {
    let (path, dialect) = processes.resolve(&turn.profile)?;
    let size = turn.prompt.len();
    if size > dialect.prompt_limit() {
        return Err(LaunchError::PromptTooLong {
            dialect: dialect.name(),
            size,
            limit: dialect.prompt_limit(),
        });
    }
    let order = order(processes, turn, path, dialect);
    let executable = &processes.options.runner;
    let (runner, pipes) = runner_process::start(executable, turn.turn, &processes.runners)
        .map_err(|error| problem_of_ours(&executable.to_string_lossy(), &error))?;
    Ok(Begun {
        order,
        dialect,
        runner,
        pipes,
    })
}

fn order(
    processes: &TurnProcesses,
    turn: &TurnOrder,
    program: PathBuf,
    dialect: &dyn Dialect,
) -> Order {
    let profile = &turn.profile;
    let shape = TurnShape {
        session: &turn.session,
        permissions: profile.permissions,
        workspace: &profile.workspace,
        working_dir: &profile.working_dir,
        is_root: rustix::process::geteuid().is_root(),
    };
    let mut of_turn = turn.variables.clone();
    of_turn.push((TURN_VARIABLE, turn.turn.to_string()));
    let environment = environment::environment(Sources {
        own: &processes.options.environment,
        secrets: &processes.options.secrets,
        passed: dialect.passed(),
        set_by_dialect: dialect.variables(&shape),
        configured: &profile.environment,
        of_turn: &of_turn,
    });
    let configured = profile.command.iter().skip(1).cloned();
    Order {
        program,
        arguments: configured.chain(dialect.arguments(&shape)).collect(),
        environment: environment.into_iter().collect(),
        working_dir: profile.working_dir.clone(),
        prompt: Arc::clone(&turn.prompt),
        grace_ms: u64::try_from(profile.limits.grace.as_millis()).unwrap_or(u64::MAX),
        stops_by_interrupt: dialect.stop_signal() == StopSignal::Interrupt,
    }
}

fn connect(pipes: Pipes) -> io::Result<(Control, Receiver, Receiver)> {
    let receiver = |pipe: OwnedFd| Receiver::from_owned_fd(pipe);
    Ok((
        Control::new(pipes.control)?,
        receiver(pipes.stdout)?,
        receiver(pipes.stderr)?,
    ))
}

/// Gives the order; answers the runner's first report.
async fn start(control: &mut Control, order: &Order) -> Option<Report> {
    control.order(order).await.ok()?;
    control.report().await
}

fn begin_transcript(processes: &TurnProcesses, turn: &TurnOrder, order: &Order) -> Transcript {
    let now = processes.options.clock.now();
    let path = transcript::path(&turn.profile.workspace, turn.turn, now);
    let header = format!(
        "turn: {}\nagent: {}\ncommand: {} {:?}\nworking folder: {}\nstarted: {}\n\n--- prompt ---\n{}\n",
        turn.turn,
        turn.profile.id,
        order.program.display(),
        order.arguments,
        order.working_dir.display(),
        now.to_rfc3339(),
        turn.prompt,
    );
    Transcript::begin(path, header)
}

fn refusal(program: &str, kind: StartProblem, reason: &str) -> LaunchError {
    match kind {
        StartProblem::NotFound => LaunchError::NotFound(program.to_owned()),
        StartProblem::NoRoom => LaunchError::NoRoom(reason.to_owned()),
        StartProblem::Other => cannot_start(program, reason),
    }
}

fn cannot_start(program: &str, reason: &str) -> LaunchError {
    LaunchError::CannotStart {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}

/// What the system did not let us do before the runner had its order.
fn problem_of_ours(program: &str, error: &io::Error) -> LaunchError {
    refusal(program, StartProblem::of(error), &error.to_string())
}
