//! A real Prometheus, and its tool that looks at rules.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use super::{
    client,
    tools::{self, ClientFailure, ClientResult},
    wait::until_async,
};

/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A Prometheus that runs; killed when dropped.
pub struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Starts it with the `prometheus.yml` of a folder, in which it keeps its data too.
    ///
    /// # Errors
    /// It is not installed, or does not listen in time.
    pub async fn start(folder: &Path) -> Result<Self, ClientFailure> {
        let program = tools::prometheus()?;
        #[expect(clippy::disallowed_methods, reason = "killed when dropped")]
        let mut child = Command::new(program)
            .arg("--config.file")
            .arg(folder.join("prometheus.yml"))
            .arg("--storage.tsdb.path")
            .arg(folder.join("data"))
            .args(["--web.listen-address", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that it never waits for us.
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut prometheus = Self {
            child,
            url: String::new(),
        };
        let mut said = Vec::new();
        while let Ok(line) = told.recv_timeout(START) {
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                prometheus.url = format!("http://{address}");
                prometheus.until_ready().await;
                return Ok(prometheus);
            }
            said.push(line);
        }
        Err(ClientFailure::new(format!(
            "prometheus does not listen; it said: {said:#?}"
        )))
    }

    /// It listens before it answers.
    async fn until_ready(&self) {
        let look = async || self.query("1").await;
        let ready = until_async("a Prometheus that answers", look, Result::is_ok).await;
        drop(ready);
    }

    /// The `data` of an answer of its API; what it said where it did not succeed.
    pub async fn ask(&self, path: &str) -> Result<Value, String> {
        let path = format!("/api/v1/{path}");
        let answer = client::send(&self.url, "GET", &path, String::new(), &[]).await;
        let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        if json["status"] == "success" {
            Ok(json["data"].clone())
        } else {
            Err(answer.text)
        }
    }

    /// The result of a query, or what is wrong with it.
    pub async fn query(&self, query: &str) -> Result<Value, String> {
        let encoded = query
            .bytes()
            .fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        let data = self.ask(&format!("query?query={encoded}")).await?;
        Ok(data["result"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `promtool` in a folder.
///
/// # Errors
/// It is not installed, or is not content: what it said.
pub fn promtool(folder: &Path, arguments: &[&str]) -> ClientResult {
    #[expect(clippy::disallowed_methods, reason = "it ends by itself")]
    let output = Command::new(tools::promtool()?)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    Err(ClientFailure::new(format!(
        "promtool {arguments:?}: {said}{complained}"
    )))
}
