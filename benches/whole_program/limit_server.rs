//! The limit: the least a server can do that keeps each message safe and makes it a file.
//!
//! It reads the body, appends it to a journal that is synced for all waiting requests at once,
//! writes the body into a file of its own (temporary name, rename), and answers. It parses
//! nothing, knows no contexts and no keys. What it reaches is what the machine can do.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use tokio::sync::oneshot;

const ANSWER: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":0,"model":"local-agent","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
const BODY_LIMIT: usize = 1 << 20;
const QUEUE: usize = 1024;
const GROUP: usize = 256;

struct Entry {
    body: Bytes,
    synced: oneshot::Sender<()>,
}

struct Limit {
    journal: SyncSender<Entry>,
    /// Where each message becomes a file; `None`: the journal is all.
    inbox: Option<PathBuf>,
    next: AtomicU64,
}

/// Serves on the loopback `port` until the process is ended.
pub(crate) fn serve(port: u16, folder: &Path, with_files: bool) -> Result<()> {
    let inbox = folder.join("inbox");
    fs::create_dir_all(&inbox)?;
    let journal = File::create(folder.join("journal"))?;
    let (sender, waiting) = sync_channel(QUEUE);
    thread::spawn(move || keep_journal(journal, &waiting));
    let limit = Data::new(Limit {
        journal: sender,
        inbox: with_files.then_some(inbox),
        next: AtomicU64::new(0),
    });
    let app = move || {
        App::new()
            .app_data(limit.clone())
            .app_data(PayloadConfig::new(BODY_LIMIT))
            .route("/v1/chat/completions", web::post().to(accept))
    };
    let server = HttpServer::new(app)
        .workers(2)
        .tcp_nodelay(true)
        .bind(("127.0.0.1", port))?;
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}

async fn accept(limit: Data<Limit>, body: Bytes) -> HttpResponse {
    let (synced, done) = oneshot::channel();
    let entry = Entry {
        body: body.clone(),
        synced,
    };
    if limit.journal.try_send(entry).is_err() || done.await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    match limit.write_file(&body) {
        Ok(()) => HttpResponse::Ok()
            .content_type("application/json")
            .body(ANSWER),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

impl Limit {
    /// Blocks the worker for a moment on purpose: a hop to another thread would cost more.
    fn write_file(&self, body: &[u8]) -> io::Result<()> {
        let Some(inbox) = &self.inbox else {
            return Ok(());
        };
        let name = format!("{:016x}.json", self.next.fetch_add(1, Ordering::Relaxed));
        let unfinished = inbox.join(format!(".{name}"));
        fs::write(&unfinished, body)?;
        fs::rename(unfinished, inbox.join(name))
    }
}

/// Group commit: whatever waits is written and synced at once, then all are answered.
fn keep_journal(mut journal: File, waiting: &Receiver<Entry>) {
    let mut bytes = Vec::new();
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP - 1));
        bytes.clear();
        for entry in &group {
            bytes.extend_from_slice(&entry.body.len().to_le_bytes());
            bytes.extend_from_slice(&entry.body);
        }
        if journal
            .write_all(&bytes)
            .and_then(|()| journal.sync_data())
            .is_err()
        {
            return;
        }
        for entry in group {
            // A client that has gone away needs no answer.
            let _gone = entry.synced.send(());
        }
    }
}
