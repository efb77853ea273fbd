//! Requests and answers between the network and the servers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Response, StatusCode};

pub struct Request {
    pub method: Method,
    pub path: String,
    /// Not decoded.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The connection after an answer that switches protocols.
    pub upgrade: OnUpgrade,
}

impl Request {
    pub fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// How the receiver learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunked,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    pub framing: Framing,
}

/// The connection is closed without an answer.
#[derive(Debug)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for NoAnswer {}

impl Answer {
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))],
            body: body.into(),
            framing: Framing::Length,
        }
    }

    /// The response, whose body breaks off after `cut` bytes if set.
    pub fn into_response(self, cut: Option<usize>) -> Response<AnswerBody> {
        let length = self.body.len() as u64;
        let data = match cut {
            Some(at) => self.body.slice(..at.min(self.body.len())),
            None => self.body,
        };
        let body = AnswerBody {
            length: (self.framing != Framing::Chunked).then_some(length),
            data: Some(data).filter(|data| !data.is_empty()),
            cut: cut.map(|_| Cut::Flush),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// The whole body in one piece, so that a chunked answer is one chunk, as the push server's are.
pub struct AnswerBody {
    length: Option<u64>,
    data: Option<Bytes>,
    cut: Option<Cut>,
}

#[derive(Clone, Copy)]
enum Cut {
    /// What was given must reach the socket before the connection breaks.
    Flush,
    Break,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.cut {
            None => Poll::Ready(None),
            Some(Cut::Flush) => {
                self.cut = Some(Cut::Break);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Cut::Break) => Poll::Ready(Some(Err(NoAnswer))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
