//! TLS of the listener: commands, a real client, new certificates, broken ones.

use std::fs;

use postroom::runtime_file::RuntimeFile;
use rcgen::generate_simple_self_signed;
use rustix::process::Signal;

use crate::support::{
    tools::{Client, ClientResult},
    user_home::{Daemon, UserHome},
    wait::until,
};

const KEY: &str = "the-key-of-the-operator";

/// Writes a certificate for these names, and its key.
fn certify(home: &UserHome, name: &str) {
    let made = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(home.path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(home.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

fn secured(name: &str) -> UserHome {
    let home = UserHome::new();
    certify(&home, name);
    home.configure(&format!(
        "[server]\nkey = {KEY:?}\ntls_cert = {:?}\ntls_key = {:?}\n",
        home.path("cert.pem").display().to_string(),
        home.path("key.pem").display().to_string(),
    ));
    home
}

fn fingerprint(home: &UserHome) -> Option<String> {
    RuntimeFile::read(&home.base()).unwrap()?.certificate
}

fn python(
    home: &UserHome,
    daemon: &Daemon,
) -> Result<Client, crate::support::tools::ClientFailure> {
    let client = Client::with_openai_python("openai_python.py")?;
    Ok(client
        .option("--url", daemon.endpoint())
        .option("--key", KEY)
        .option("--ca", home.path("cert.pem")))
}

async fn until_logged(home: &UserHome, words: &str) {
    let look = || home.daemon_log();
    until(words, look, |log| log.contains(words)).await;
}

#[actix_web::test]
async fn the_python_sdk_and_our_commands_speak_tls() -> ClientResult {
    let home = secured("127.0.0.1");
    let daemon = home.daemon(&[]).await;
    assert!(
        daemon.endpoint().starts_with("https://127.0.0.1:"),
        "{}",
        daemon.endpoint()
    );
    assert!(home.run(&["status"]).ok().contains("https://127.0.0.1:"));
    assert!(
        !home.daemon_log().contains("does not name"),
        "{}",
        home.daemon_log()
    );
    python(&home, &daemon)?
        .arguments(["models", "errors"])
        .passes()?;
    assert!(daemon.stop().await.success());
    Ok(())
}

#[actix_web::test]
async fn a_new_certificate_holds_without_a_restart_and_a_broken_one_never() -> ClientResult {
    let home = secured("127.0.0.1");
    let daemon = home.daemon(&[]).await;
    let first = fingerprint(&home);
    certify(&home, "127.0.0.1");
    daemon.signal(Signal::HUP);
    let second = until(
        "the new certificate",
        || fingerprint(&home),
        |now| *now != first,
    )
    .await;
    home.run(&["status"]).ok();
    python(&home, &daemon)?.arguments(["models"]).passes()?;
    fs::write(home.path("key.pem"), "half a k").unwrap();
    daemon.signal(Signal::HUP);
    until_logged(&home, "the one before still holds").await;
    assert_eq!(fingerprint(&home), second);
    home.run(&["status"]).ok();
    python(&home, &daemon)?.arguments(["models"]).passes()
}

#[actix_web::test]
async fn files_that_change_are_noticed_without_a_signal() {
    let home = secured("127.0.0.1");
    let _daemon = home.daemon(&[]).await;
    let first = fingerprint(&home);
    certify(&home, "127.0.0.1");
    until(
        "the new certificate",
        || fingerprint(&home),
        |now| *now != first,
    )
    .await;
    home.run(&["status"]).ok();
}

#[actix_web::test]
async fn a_certificate_that_cannot_be_used_is_told_before_anything_starts() {
    let home = secured("127.0.0.1");
    let refused = |part: &str| {
        let ran = home.run(&["serve", "--port", "0"]);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        assert!(ran.err.contains(part), "{ran:?}");
        assert!(!home.base().join("store").exists());
    };
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    fs::write(home.path("key.pem"), other).unwrap();
    refused("the key is not the one of the (first) certificate");
    fs::remove_file(home.path("key.pem")).unwrap();
    refused("key.pem`: No such file");
    fs::write(home.path("cert.pem"), "").unwrap();
    refused("cert.pem` holds no certificate");
}

#[actix_web::test]
async fn a_certificate_that_has_expired_or_names_others_is_warned_of() {
    let home = secured("127.0.0.1");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["broker.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    fs::write(
        home.path("cert.pem"),
        params.self_signed(&key).unwrap().pem(),
    )
    .unwrap();
    fs::write(home.path("key.pem"), key.serialize_pem()).unwrap();
    let _daemon = home.daemon(&[]).await;
    until_logged(&home, "the certificate has expired").await;
    until_logged(&home, "which the certificate does not name").await;
    home.run(&["status"]).ok();
}

#[actix_web::test]
async fn plain_http_is_not_answered_on_a_listener_with_tls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let home = secured("127.0.0.1");
    let daemon = home.daemon(&[]).await;
    let address = daemon.endpoint().strip_prefix("https://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // It may be cut before or after an alert.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    home.run(&["status"]).ok();
}
