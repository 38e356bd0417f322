//! P10: a broker that has run out of file descriptors waits for some, calmly, and then goes on.

use std::time::Duration;

use serde_json::json;
use tokio::{net::TcpStream, time::Instant};

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::chat,
    raw,
};

const IDLE: usize = 100;

/// Longest time from free descriptors to the next accepted message.
const RECOVERY: Duration = Duration::from_secs(5);

#[actix_web::test]
async fn without_descriptors_the_broker_waits_calmly_and_recovers() {
    let wrapper = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"].map(str::to_owned);
    let options = BrokerOptions {
        wrapper: wrapper.into(),
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).await;
    let mut kept = 0;
    for _ in 0..5 {
        assert_eq!(broker.chat(&chat("before", json!({}))).await.status, 200);
        kept += 1;
    }
    broker.until_items(kept).await;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(broker.address()).await.unwrap());
    }
    let before = processor_time(&broker);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = processor_time(&broker).saturating_sub(before);
    assert!(used < Duration::from_secs(1), "{used:?} in 2 s");
    let starved = |line: &String| line.contains("Too many open files");
    assert!(broker.log_lines().iter().any(starved), "it never ran out");
    drop(idle);
    let freed = Instant::now();
    // Sent once: a second try could be accepted beside the first, which only waits.
    let body = chat("after", json!({})).to_string();
    let headers = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
    let mut request = raw::head(&broker, &headers);
    request.extend_from_slice(body.as_bytes());
    let answer = raw::exchange(&broker, &request, RECOVERY).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(freed.elapsed() < RECOVERY, "{:?}", freed.elapsed());
    kept += 1;
    let items = broker.until_items(kept).await;
    let after = items
        .iter()
        .filter(|item| item["latest-user-prompt"] == "after");
    assert_eq!(after.count(), 1);
    assert!(
        broker
            .log_lines()
            .iter()
            .all(|line| !line.contains("panicked"))
    );
}

/// Processor time of all threads so far; a tick is 10 ms on Linux.
fn processor_time(broker: &Broker) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", broker.pid())).unwrap();
    // The name in brackets may hold spaces; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}
