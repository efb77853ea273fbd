//! A client of the emulator, as small as tests need it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use b24_emulator::{ADMINISTRATOR, Emulator, Options, Tokens};
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::typestate::WithBody;
use ureq::{Agent, Body, RequestBuilder};

pub struct Client {
    pub emulator: Emulator,
    pub tokens: Tokens,
    pub agent: Agent,
}

/// A short hold keeps the tests short.
pub fn quick() -> Options {
    Options { hold: Duration::from_millis(300), ..Options::default() }
}

pub fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into()
}

/// As ureq's own function, whose feature `json` the library under test would get as well.
pub trait SendJson {
    fn send_json(self, body: Value) -> Result<Response<Body>, ureq::Error>;
}

impl SendJson for RequestBuilder<WithBody> {
    fn send_json(self, body: Value) -> Result<Response<Body>, ureq::Error> {
        self.content_type("application/json; charset=utf-8").send(body.to_string())
    }
}

impl Client {
    pub fn new(options: Options) -> Self {
        let emulator = Emulator::start(options).unwrap();
        let tokens = emulator.issue_tokens(ADMINISTRATOR);
        Self { emulator, tokens, agent: agent() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.portal_url())
    }

    /// Calls a method with JSON; the answer is status and body.
    pub fn rest(&self, method: &str, params: Value) -> (u16, Value) {
        self.rest_as(&self.tokens.access_token, method, params)
    }

    pub fn rest_as(&self, token: &str, method: &str, mut params: Value) -> (u16, Value) {
        params["auth"] = json!(token);
        let response = self.agent.post(self.url(&format!("/rest/{method}"))).send_json(params).unwrap();
        json_of(response)
    }

    /// The result of a call that must succeed.
    pub fn call(&self, method: &str, params: Value) -> Value {
        let (status, body) = self.rest(method, params);
        assert_eq!(status, 200, "{method}: {body}");
        body["result"].clone()
    }

    /// Status and code of a call that must fail.
    pub fn refusal(&self, method: &str, params: Value) -> (u16, String) {
        let (status, body) = self.rest(method, params);
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    }

    pub fn form(&self, path: &str, form: &str) -> (u16, Value) {
        let request = self.agent.post(self.url(path)).content_type("application/x-www-form-urlencoded");
        json_of(request.send(form).unwrap())
    }

    pub fn bind(&self, event: &str, connector: &str) {
        let mut params = json!({"event": event, "event_type": "offline"});
        if !connector.is_empty() {
            params["auth_connector"] = json!(connector);
        }
        assert_eq!(self.call("event.bind", params), json!(true));
    }

    /// Somebody else than the application adds a deal.
    pub fn add_deal(&self, title: &str) -> Value {
        self.by_webhook("crm.deal.add", json!({"fields": {"TITLE": title}}))
    }

    /// The result of a webhook's call, which must succeed. Changes by webhooks are in the queues of the application.
    pub fn by_webhook(&self, method: &str, params: Value) -> Value {
        let url = format!("{}{method}", self.emulator.webhook_url());
        let (status, body) = json_of(self.agent.post(url).send_json(params).unwrap());
        assert_eq!(status, 200, "{method}: {body}");
        body["result"].clone()
    }

    /// The query every subscription needs.
    pub fn subscription(&self) -> String {
        let config = self.call("pull.application.config.get", json!({}));
        let mut query = format!(
            "CHANNEL_ID={}/{}",
            config["channels"]["private"]["id"].as_str().unwrap(),
            config["channels"]["shared"]["id"].as_str().unwrap(),
        );
        if let Some(id) = config["clientId"].as_str() {
            query.push_str(&format!("&clientId={id}"));
        }
        query
    }

    pub fn poll(&self, query: &str) -> Result<Response<Body>, ureq::Error> {
        self.agent.get(self.url(&format!("/sub/?{query}"))).call()
    }

    /// Polls in another thread; returns when the server holds the request.
    pub fn poll_held(&self, query: &str) -> std::thread::JoinHandle<Result<Response<Body>, ureq::Error>> {
        let open = self.emulator.counters().subscriptions_open;
        let (agent, url) = (self.agent.clone(), self.url(&format!("/sub/?{query}")));
        let handle = std::thread::spawn(move || agent.get(url).call());
        wait_until(|| self.emulator.counters().subscriptions_open > open);
        handle
    }
}

pub fn json_of(mut response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn text_of(mut response: Response<Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

/// The messages of an answer of the push server.
pub fn messages(text: &str) -> Vec<Value> {
    text.split("#!NGINXNMS!#")
        .skip(1)
        .map(|envelope| serde_json::from_str(envelope.strip_suffix("#!NGINXNME!#").unwrap()).unwrap())
        .collect()
}

pub fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the condition did not become true");
}

/// A WebSocket of the emulator.
pub struct Socket(tungstenite::WebSocket<TcpStream>);

/// What came over a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    /// A close frame with this code; 1005 when it had none.
    Closed(u16),
    /// The connection ended without a close frame.
    Broken,
    /// Nothing came in the time given.
    Nothing,
}

impl Client {
    /// Opens a WebSocket, or tells the status the request was refused with; 0 when there was no answer.
    pub fn open(&self, query: &str) -> Result<Socket, u16> {
        let stream = TcpStream::connect(self.emulator.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let address = format!("ws://{}/subws/?{query}", self.emulator.address());
        match tungstenite::client(address, stream) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(_) => Err(0),
        }
    }

    /// Opens a WebSocket that must be accepted; returns when the server counts it.
    pub fn connect(&self, query: &str) -> Socket {
        let open = self.emulator.counters().websockets_accepted;
        let socket = self.open(query).unwrap();
        wait_until(|| self.emulator.counters().websockets_accepted > open);
        socket
    }
}

impl Socket {
    pub fn next(&mut self) -> Received {
        self.next_within(Duration::from_secs(20))
    }

    pub fn next_within(&mut self, time: Duration) -> Received {
        use tungstenite::{Error, Message};
        self.0.get_ref().set_read_timeout(Some(time)).unwrap();
        match self.0.read() {
            Ok(Message::Text(text)) => Received::Text(text.to_string()),
            Ok(Message::Binary(bytes)) => Received::Binary(bytes.to_vec()),
            Ok(Message::Ping(_)) => Received::Ping,
            Ok(Message::Close(frame)) => Received::Closed(frame.map_or(1005, |frame| frame.code.into())),
            Ok(other) => panic!("{other:?}"),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Received::Nothing
            }
            Err(_) => Received::Broken,
        }
    }

    pub fn text(&mut self) -> String {
        match self.next() {
            Received::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    pub fn messages(&mut self) -> Vec<Value> {
        messages(&self.text())
    }

    pub fn say(&mut self, text: &str) {
        self.0.send(text.into()).unwrap();
    }

    /// Sends what waits to be sent, such as the answer to a ping.
    pub fn flush(&mut self) {
        self.0.flush().unwrap();
    }

    pub fn ping(&mut self) {
        self.0.send(tungstenite::Message::Ping(Vec::new().into())).unwrap();
    }
}
