//! A client for short exchanges.

use std::time::Duration;

use serde_json::{Value, json};

use super::broker::Broker;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of its server-sent events.
    pub fn events(&self) -> Vec<&str> {
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect()
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The assistant's text of a completion.
    pub fn content(&self) -> String {
        let content = &self.json()["choices"][0]["message"]["content"];
        let text = content.as_str();
        text.unwrap_or_else(|| panic!("no text in {self:?}"))
            .to_owned()
    }
}

/// A chat request with one user message and further fields.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the fields in place"
)]
pub fn chat(prompt: &str, fields: Value) -> Value {
    let mut body = json!({
        "model": "local-agent",
        "messages": [{"role": "user", "content": prompt}],
    });
    let object = body.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    body
}

impl Broker {
    /// `POST /v1/chat/completions` with the operator key.
    pub async fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body.to_string(), &[])
            .await
    }

    /// `POST` with the operator key and further headers.
    pub async fn post(
        &self,
        path: &str,
        body: impl Into<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let key = format!("Bearer {}", self.key());
        let mut all = vec![
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        self.send("POST", path, body.into(), &all).await
    }

    /// `GET` with the operator key.
    pub async fn get(&self, path: &str) -> Answer {
        let key = format!("Bearer {}", self.key());
        self.send("GET", path, String::new(), &[("authorization", &key)])
            .await
    }

    /// Any request, with just these headers.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: String,
        headers: &[(&str, &str)],
    ) -> Answer {
        send(self.url(), method, path, body, headers).await
    }
}

/// Any request to a service, with just these headers.
pub async fn send(
    url: &str,
    method: &str,
    path: &str,
    body: String,
    headers: &[(&str, &str)],
) -> Answer {
    let answer = try_send(url, method, path, body, headers).await;
    answer.unwrap_or_else(|why| panic!("{method} {path}: {why}"))
}

/// The same to a service that may go away: why there is no whole answer.
pub async fn try_send(
    url: &str,
    method: &str,
    path: &str,
    body: String,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    let client = awc::Client::builder()
        .timeout(Duration::from_mins(2))
        .disable_redirects()
        .no_default_headers()
        .finish();
    let mut request = client.request(method.parse().unwrap(), format!("{url}{path}"));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let sent = request.send_body(body).await;
    let mut response = sent.map_err(|error| error.to_string())?;
    let text = response.body().limit(64 << 20).await;
    let text = text.map_err(|error| error.to_string())?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        text: String::from_utf8(text.to_vec()).unwrap(),
    })
}
