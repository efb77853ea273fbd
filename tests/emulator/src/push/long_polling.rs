//! `GET /sub/`: a request that waits for messages.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, HeaderName, HeaderValue, LAST_MODIFIED, SERVER, TRANSFER_ENCODING,
};

use super::PushServer;
use super::admission::Refusal;
use super::format::Format;
use super::message::Message;
use super::query::Parameters;
use super::subscription::{Delivery, Kind};
use crate::http::{Answer, Framing, NoAnswer};
use crate::time;

/// In a 304 this value means: continue from `Last-Message-Id`.
const EXPIRES_WITH_MESSAGE_ID: &str = "Thu, 01 Jan 1973 11:11:01 GMT";
const LAST_MESSAGE_ID: HeaderName = HeaderName::from_static("last-message-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

pub async fn serve(server: &Arc<PushServer>, query: &str) -> Result<Answer, NoAnswer> {
    let version = server.settings.version;
    let parameters = Parameters::parse(query);
    let mut subscription = match server.subscribe(&parameters, Kind::Poll) {
        Ok(subscription) => subscription,
        Err(Refusal::Stopped) => return Err(NoAnswer),
        Err(refusal) => return Ok(refused(version, &refusal)),
    };
    match tokio::time::timeout(server.settings.hold, subscription.next()).await {
        Ok(Delivery::Messages(messages)) => {
            let body = Format::of(&parameters, version).write(&messages, version);
            Ok(with_messages(version, messages.last(), body.into_bytes()))
        }
        Ok(Delivery::Raw(bytes)) => Ok(with_messages(version, None, bytes)),
        Ok(Delivery::Ended) => Err(NoAnswer),
        Err(_elapsed) if version < 3 => Ok(nothing_new_from_nginx()),
        Err(_elapsed) => {
            let mid = parameters.mid.or_else(|| server.last_mid(subscription.channels()));
            Ok(nothing_new(&mid.unwrap_or_default()))
        }
    }
}

fn with_messages(version: u32, last: Option<&Message>, body: Vec<u8>) -> Answer {
    let headers = if version < 3 {
        let time = last.map_or_else(time::unix_now, |message| message.time);
        nginx_headers(&http_date(time), last.map_or(0, |message| message.tag), true)
    } else {
        node_headers(&[])
    };
    Answer { status: StatusCode::OK, headers, body: body.into(), framing: Framing::Chunked }
}

fn nothing_new(last_message_id: &str) -> Answer {
    let last_message_id = HeaderValue::from_str(last_message_id).unwrap_or(HeaderValue::from_static(""));
    let headers = node_headers(&[
        (EXPIRES, HeaderValue::from_static(EXPIRES_WITH_MESSAGE_ID)),
        (LAST_MESSAGE_ID, last_message_id),
    ]);
    let body = Vec::new().into();
    Answer { status: StatusCode::NOT_MODIFIED, headers, body, framing: Framing::Length }
}

fn nothing_new_from_nginx() -> Answer {
    let headers = nginx_headers(&http_date(time::unix_now()), 0, false);
    Answer { status: StatusCode::NOT_MODIFIED, headers, body: Vec::new().into(), framing: Framing::Length }
}

/// nginx with authorized channels only: it answers with its own page.
pub fn refused_by_nginx() -> Answer {
    Answer::new(StatusCode::FORBIDDEN, "text/html", "<html><body><h1>403 Forbidden</h1></body></html>")
}

fn refused(version: u32, refusal: &Refusal) -> Answer {
    if version < 3 {
        return refused_by_nginx();
    }
    let text = match refusal {
        Refusal::NoChannel => "No channel id provided.",
        Refusal::WrongChannel | Refusal::Stopped => "Channel id is not correct.",
    };
    Answer { status: StatusCode::BAD_REQUEST, headers: node_headers(&[]), body: text.into(), framing: Framing::Chunked }
}

fn http_date(unix: i64) -> HeaderValue {
    HeaderValue::from_str(&time::http_date(unix)).unwrap_or(HeaderValue::from_static(""))
}

/// Heads as the recorded Node.js server writes them, in its order.
fn node_headers(special: &[(HeaderName, HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Last-Message-Id")),
    ];
    headers.extend_from_slice(special);
    headers.extend([
        (DATE, http_date(time::unix_now())),
        (CONNECTION, HeaderValue::from_static("keep-alive")),
        (KEEP_ALIVE, HeaderValue::from_static("timeout=5")),
    ]);
    headers
}

/// Heads as the recorded nginx writes them, in its order.
fn nginx_headers(last_modified: &HeaderValue, tag: u64, chunked: bool) -> Vec<(HeaderName, HeaderValue)> {
    let etag = HeaderValue::from_str(&format!("W/{tag}")).unwrap_or(HeaderValue::from_static("W/0"));
    let encoding = chunked.then_some((TRANSFER_ENCODING, HeaderValue::from_static("chunked")));
    [
        (SERVER, HeaderValue::from_static("nginx/1.22.1")),
        (DATE, http_date(time::unix_now())),
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
    ]
    .into_iter()
    .chain([(LAST_MODIFIED, last_modified.clone())])
    .chain(encoding)
    .chain([
        (CONNECTION, HeaderValue::from_static("keep-alive")),
        (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:01 GMT")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate")),
        (ETAG, etag),
    ])
    .collect()
}
