//! Clients that go away before their answer: their message stays, the rest is as configured.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{
    backend::{ScriptedBackend, Step, completion, json_answer},
    broker::{Broker, BrokerOptions},
    client::chat,
    raw,
    wait::until,
};

#[actix_web::test]
async fn a_relay_goes_on_without_its_client_unless_it_is_to_stop() {
    for (choice, reply) in [("finish", "hi there"), ("cancel", "")] {
        let slow = [
            vec![Step::Wait(Duration::from_secs(2))],
            json_answer("200 OK", &completion("hi there")),
        ];
        let backend = ScriptedBackend::start(slow.concat()).await;
        let broker = Broker::start(BrokerOptions::toml(format!(
            "[mailbox]\ninbox = \"{{inbox}}\"\n[backend]\nurl = \"{}\"\non_disconnect = \"{choice}\"\n",
            backend.url()
        )))
        .await;
        let body = chat("hello", json!({})).to_string();
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut client = tokio::net::TcpStream::connect(broker.address())
            .await
            .unwrap();
        let head = raw::head(&broker, &length);
        client.write_all(&head).await.unwrap();
        client.write_all(body.as_bytes()).await.unwrap();
        let asked = || backend.asked().len();
        until("the relay", asked, |asked| *asked == 1).await;
        drop(client);
        let item = broker.until_items(1).await.remove(0);
        let told = item["backend-llm-reply"].as_str().unwrap_or_default();
        assert_eq!(told, reply, "{choice}: {item}");
    }
}
