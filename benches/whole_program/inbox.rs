//! Whether every accepted message is in the inbox: by count while it fills, one by one at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::bodies::{MARK, SERIAL_DIGITS};

const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until the inbox has a file for each of `messages`; the time that took.
///
/// # Errors
/// Not all are there after 60 s, or there are too many.
pub(crate) async fn wait_for_files(inbox: &Path, messages: u64) -> Result<Duration> {
    let begin = Instant::now();
    loop {
        let files = u64::try_from(names(inbox)?.len())?;
        ensure!(
            files <= messages,
            "{files} inbox files for {messages} accepted messages"
        );
        if files == messages {
            return Ok(begin.elapsed());
        }
        ensure!(
            begin.elapsed() < LIMIT,
            "only {files} of {messages} inbox files after 60 s"
        );
        sleep(PAUSE).await;
    }
}

/// The same where one file may hold several messages: reads each new file once.
pub(crate) async fn wait_for_items(inbox: &Path, messages: u64) -> Result<Duration> {
    let begin = Instant::now();
    let mut seen = std::collections::HashSet::new();
    let mut found = 0;
    loop {
        for file in names(inbox)? {
            if !seen.contains(&file) {
                found += u64::try_from(serials(&fs::read(&file)?).len())?;
                seen.insert(file);
            }
        }
        if found >= messages {
            return Ok(begin.elapsed());
        }
        ensure!(
            begin.elapsed() < LIMIT,
            "only {found} of {messages} inbox items after 60 s"
        );
        sleep(PAUSE).await;
    }
}

/// Reads every file and checks that each serial number below `messages` is in exactly one.
///
/// # Errors
/// A message is missing or is there twice, or a file is no JSON.
pub(crate) fn verify(inbox: &Path, messages: u64) -> Result<()> {
    let mut times = vec![0_u32; usize::try_from(messages)?];
    for file in names(inbox)? {
        let bytes = fs::read(&file)?;
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .with_context(|| format!("{} is not JSON", file.display()))?;
        for serial in serials(&bytes) {
            let place = usize::try_from(serial)
                .ok()
                .and_then(|serial| times.get_mut(serial));
            let place = place.with_context(|| format!("message {serial} was never sent"))?;
            *place = place.saturating_add(1);
        }
    }
    let missing = times.iter().filter(|times| **times == 0).count();
    let repeated = times.iter().filter(|times| **times > 1).count();
    ensure!(
        missing == 0,
        "{missing} of {messages} accepted messages are NOT in the inbox"
    );
    ensure!(
        repeated == 0,
        "{repeated} of {messages} messages are in the inbox more than once"
    );
    Ok(())
}

/// The visible `*.json` files.
fn names(inbox: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(inbox)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !text.starts_with('.') && text.ends_with(".json") {
            files.push(inbox.join(&name));
        }
    }
    Ok(files)
}

/// The serial numbers in a file, each once: a prompt may stand in a file several times.
fn serials(bytes: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(at) = find(rest, MARK) {
        rest = rest.get(at + MARK.len()..).unwrap_or_default();
        let digits = rest
            .get(..SERIAL_DIGITS)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        found.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Where `wanted` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}
