//! The dashboard as a browser without JavaScript sees it.

use super::{
    broker::Broker,
    client::{Answer, send},
};

/// A browser that has a cookie, or none.
pub struct Visit {
    url: String,
    cookie: Option<String>,
}

impl Visit {
    /// One that has not logged in.
    pub fn stranger(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            cookie: None,
        }
    }

    /// One that has logged in with the operator key.
    pub async fn operator(broker: &Broker) -> Self {
        let mut visit = Self::stranger(broker.url());
        let answer = visit.log_in(broker.key()).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(visit.cookie.is_some(), "{answer:?}");
        visit
    }

    /// Sends the login form, and keeps the cookie that comes.
    pub async fn log_in(&mut self, key: &str) -> Answer {
        let answer = self.submit("/web/login", &[("key", key)]).await;
        self.cookie = answer.header("set-cookie").map(|cookie| {
            let pair = cookie.split(';').next().unwrap();
            pair.to_owned()
        });
        answer
    }

    /// `name=value`, where there is one.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// A page, whatever it is.
    pub async fn get(&self, path: &str) -> Answer {
        send(&self.url, "GET", path, String::new(), &self.headers()).await
    }

    /// A page that must be there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text
    }

    /// The token in the forms of a page.
    pub async fn token(&self, path: &str) -> String {
        let page = self.page(path).await;
        let rest = page.split("name=\"csrf\" value=\"").nth(1);
        let rest = rest.unwrap_or_else(|| panic!("no form in {page}"));
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut headers = self.headers();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        send(&self.url, "POST", path, fields.join("&"), &headers).await
    }

    /// Does something with the token of the overview; it must be done.
    pub async fn acts(&self, path: &str) -> Answer {
        let token = self.token("/").await;
        let answer = self.submit(path, &[("csrf", &token), ("next", "/")]).await;
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
        answer
    }

    fn headers(&self) -> Vec<(&'static str, &str)> {
        let cookie = self.cookie.as_deref();
        cookie
            .map(|cookie| ("cookie", cookie))
            .into_iter()
            .collect()
    }
}
