//! What pages load: a style sheet, a script, an icon.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use sha2::{Digest, Sha256};

use super::answer::{self, PageError};

/// Name, content type, content.
const ASSETS: [(&str, &str, &str); 3] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("assets/style.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/live.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// Tells the assets of this program from those of others; part of their addresses, so that a browser
/// may keep them.
pub(super) static REVISION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (_, _, content) in ASSETS {
        digest.update(content);
    }
    base16ct::lower::encode_string(&digest.finalize())
});

/// One of them, for everybody: the login page looks as it should too.
///
/// # Errors
/// 404 for others.
pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, PageError> {
    let name = request.match_info().query("name");
    let asset = ASSETS.iter().find(|(known, _, _)| *known == name);
    let (_, kind, content) = asset.ok_or(PageError::unknown("There is no such file."))?;
    let keep = if request.query_string() == REVISION.as_str() {
        "public, max-age=86400"
    } else {
        "no-cache"
    };
    Ok(answer::with_headers(StatusCode::OK)
        .insert_header((header::CACHE_CONTROL, keep))
        .content_type(*kind)
        .body(*content))
}
