//! Asks a program something that it answers at once, such as its version.
//!
//! It gets no input, a bound in time, a bound for what it prints, and a process group of its own that
//! is killed afterwards.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe::Receiver,
    time::{sleep, timeout},
};

/// The most that is read of each output, in bytes.
const LONGEST: u64 = 16 << 10;

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// What to ask.
#[derive(Debug)]
pub struct Question<'a> {
    /// The program's path.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its whole environment.
    pub environment: &'a BTreeMap<String, String>,
    /// How long it may take.
    pub limit: Duration,
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It ended by itself.
    Ended {
        /// Whether it says that it succeeded.
        is_success: bool,
        /// The beginning of its standard output.
        output: String,
        /// The beginning of its standard error.
        complaint: String,
    },
    /// It was ended: it took too long.
    TooLong,
    /// It does not start, in the system's words.
    DoesNotStart(String),
}

/// Runs the program to its end.
pub async fn ask(question: &Question<'_>) -> Answer {
    match begin(question) {
        Ok(running) => running.answer(question.limit).await,
        Err(error) => Answer::DoesNotStart(error.to_string()),
    }
}

/// A program that was asked; it and its group are killed when dropped.
struct Running {
    child: Child,
    output: Receiver,
    complaint: Receiver,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a group of its own, bounded in time, killed and reaped when dropped"
)]
fn begin(question: &Question<'_>) -> io::Result<Running> {
    let (output, to_output) = io::pipe()?;
    let (complaint, to_complaint) = io::pipe()?;
    let child = Command::new(question.program)
        .args(question.arguments)
        .env_clear()
        .envs(question.environment)
        .stdin(Stdio::null())
        .stdout(OwnedFd::from(to_output))
        .stderr(OwnedFd::from(to_complaint))
        .process_group(0)
        .spawn()?;
    Ok(Running {
        child,
        output: Receiver::from_owned_fd(output.into())?,
        complaint: Receiver::from_owned_fd(complaint.into())?,
    })
}

impl Running {
    async fn answer(mut self, limit: Duration) -> Answer {
        let child = &mut self.child;
        let all = async {
            tokio::join!(
                until_ended(child),
                beginning(&mut self.output),
                beginning(&mut self.complaint)
            )
        };
        match timeout(limit, all).await {
            Ok((Ok(ended), output, complaint)) => Answer::Ended {
                is_success: ended.success(),
                output,
                complaint,
            },
            Ok((Err(error), ..)) => Answer::DoesNotStart(error.to_string()),
            Err(_elapsed) => Answer::TooLong,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Reaped ones do not count: its number is still taken, since it is waited for only here.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ended_already = kill_process_group(group, Signal::KILL);
        }
        let _reaped = self.child.wait();
    }
}

async fn until_ended(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(PAUSE).await;
    }
}

/// The beginning of what comes; the rest is read and dropped, so that nobody waits.
async fn beginning(pipe: &mut (impl AsyncRead + Unpin)) -> String {
    let mut kept = Vec::new();
    let read = pipe.take(LONGEST).read_to_end(&mut kept).await;
    if read.is_ok() {
        let mut rest = [0; 4096];
        while pipe.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask_shell(script: &str, limit: Duration) -> Answer {
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        ask(&Question {
            program: Path::new("/bin/sh"),
            arguments: &["-c".to_owned(), script.to_owned()],
            environment: &environment,
            limit,
        })
        .await
    }

    #[tokio::test]
    async fn both_outputs_and_the_end_are_told() {
        let answer = ask_shell("echo 1.2; echo oh >&2; exit 3", Duration::from_secs(20)).await;
        let expected = Answer::Ended {
            is_success: false,
            output: "1.2\n".to_owned(),
            complaint: "oh\n".to_owned(),
        };
        assert_eq!(answer, expected);
    }

    #[tokio::test]
    async fn what_hangs_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        assert_eq!(
            ask_shell(&script, Duration::from_millis(700)).await,
            Answer::TooLong
        );
        let pid = std::fs::read_to_string(pid).unwrap();
        let left = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        let is_gone = |stat: io::Result<String>| stat.is_err() || stat.unwrap().contains(") Z ");
        for _ in 0..500 {
            if is_gone(left()) {
                return;
            }
            sleep(PAUSE).await;
        }
        panic!("{:?}", left());
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_no_input_is_waited_for() {
        let answer = ask_shell("cat; head -c 1000000 /dev/zero", Duration::from_secs(20)).await;
        let Answer::Ended { output, .. } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(output.len(), 16 << 10);
    }

    #[tokio::test]
    async fn what_does_not_start_is_told() {
        let answer = ask(&Question {
            program: Path::new("/etc/passwd"),
            arguments: &[],
            environment: &BTreeMap::new(),
            limit: Duration::from_secs(1),
        })
        .await;
        assert!(matches!(answer, Answer::DoesNotStart(_)));
    }
}
