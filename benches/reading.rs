//! Reading a chat request and rendering its inbox item, at the size that OpenClaw sends.

use std::hint::black_box;

use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postroom_actors::domain::{
    envelope::{InboxForm, StoredMessage},
    ids::{ContextId, MessageId},
    inbox_item::{ItemExtras, render},
    request::{HeaderHints, read_request},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request of some 60 KB: a long system prompt, 12 tools, 24 messages.
fn large_body() -> Vec<u8> {
    let prompt = "a line of some seventy characters, as a system prompt has them, mostly\n";
    let system = json!({"role": "system", "content": prompt.repeat(680)});
    let talk = (0..24).map(|number| {
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": "so I said \"yes\"\n".repeat(8)})
    });
    let tools = (0..12).map(|number| {
        let text = "what it does ".repeat(25);
        let path = json!({"type": "string", "description": "a path"});
        let parameters = json!({"type": "object", "properties": {"path": path, "lines": {"type": "integer"}}});
        json!({"type": "function", "function": {"name": format!("tool_{number}"), "description": text, "parameters": parameters}})
    });
    let messages: Vec<Value> = std::iter::once(system).chain(talk).collect();
    let tools: Vec<Value> = tools.collect();
    let body =
        json!({"model": "m", "channel": "c", "to": "t", "messages": messages, "tools": tools});
    body.to_string().into_bytes()
}

fn message(body: &[u8]) -> StoredMessage {
    StoredMessage {
        traceparent: None,
        id: MessageId::new(Uuid::nil()),
        received_at: DateTime::UNIX_EPOCH,
        context_id: Some(ContextId::new("c:t")),
        prompt: Some("hello".into()),
        form: InboxForm::Whole,
        body: Some(body.to_vec().into()),
        reply_due: None,
    }
}

fn reading(criterion: &mut Criterion) {
    let small = br#"{"model":"m","channel":"c","messages":[{"role":"user","content":"hi"}]}"#;
    for (size, body) in [("small", small.to_vec()), ("large", large_body())] {
        let mut group = criterion.benchmark_group(size);
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap_or(u64::MAX)));
        group.bench_function("read", |bencher| {
            bencher.iter(|| read_request(black_box(&body), HeaderHints::default()));
        });
        let message = message(&body);
        let extras = ItemExtras::default();
        group.bench_function("render", |bencher| {
            bencher.iter(|| render(black_box(&message), None, &extras).to_file_text());
        });
        group.finish();
    }
}

criterion_group!(benches, reading);
criterion_main!(benches);
