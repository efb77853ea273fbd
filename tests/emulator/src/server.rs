//! The ports: receives requests, finds who answers them, applies faults.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::php::value::json;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::caller::Tally;
use crate::control;
use crate::faults::{DropWhen, Faults};
use crate::http::{Answer, AnswerBody, NoAnswer, Request};
use crate::journal::{Counters, Journal};
use crate::options::{AccessLog, Options};
use crate::portal::offline::QueueRecord;
use crate::portal::rest::Route;
use crate::portal::{Portal, oauth, rest};
use crate::push::{PushServer, long_polling, websocket};
use crate::sync::lock;

/// Bodies longer than this are refused by closing the connection.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Pause when the system has run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub struct Server {
    pub portal: Mutex<Portal>,
    pub push: Arc<PushServer>,
    pub faults: Mutex<Faults>,
    pub journal: Mutex<Journal>,
    pub delay: Mutex<Duration>,
    pub tally: Arc<Tally>,
    on_premise: bool,
    access_log: Option<AccessLog>,
}

/// Who listens on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Portal,
    AuthServer,
}

/// Who a request is for.
enum Endpoint {
    Rest(Route),
    OAuth,
    /// Where an administrator's browser gets an authorization code.
    Authorize,
    /// `app.info` of the authorization server.
    AuthInfo,
    Push,
    WebSocket,
    Control,
    Nobody,
}

impl Endpoint {
    /// A portal in the cloud gives out tokens too; one on-premise does not.
    fn of(origin: Origin, on_premise: bool, path: &str) -> Self {
        let tokens = origin == Origin::AuthServer || !on_premise;
        match path {
            "/oauth/token" | "/oauth/token/" if tokens => Self::OAuth,
            "/oauth/authorize" | "/oauth/authorize/" if origin == Origin::Portal => Self::Authorize,
            "/rest/app.info" | "/rest/app.info.json" if origin == Origin::AuthServer => Self::AuthInfo,
            _ if origin == Origin::AuthServer => Self::Nobody,
            "/sub" | "/sub/" | "/bitrix/sub/" => Self::Push,
            "/subws" | "/subws/" | "/bitrix/subws/" => Self::WebSocket,
            "/control" | "/control/" => Self::Control,
            path => Route::parse(path).map_or(Self::Nobody, Self::Rest),
        }
    }

    /// Its name in faults.
    fn target(&self) -> Option<&str> {
        match self {
            Self::Rest(route) => Some(&route.method),
            Self::OAuth | Self::AuthInfo => Some("oauth"),
            Self::Push => Some("sub"),
            Self::WebSocket => Some("subws"),
            Self::Authorize | Self::Control | Self::Nobody => None,
        }
    }
}

impl Server {
    pub fn new(options: Options, portal: Portal, push: Arc<PushServer>) -> Self {
        Self {
            portal: Mutex::new(portal),
            push,
            faults: Mutex::default(),
            journal: Mutex::default(),
            delay: Mutex::new(options.delay),
            tally: Arc::default(),
            on_premise: options.on_premise,
            access_log: options.access_log,
        }
    }

    pub fn counters(&self) -> Counters {
        // One lock at a time: whoever answers a request takes several.
        let traffic = &self.push.traffic;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counters = Counters {
            subscriptions_open: self.push.open_subscriptions(),
            websockets_open: self.push.open_websockets(),
            websockets_accepted: read(&traffic.accepted),
            frames: read(&traffic.frames),
            macks: read(&traffic.macks),
            pongs: read(&traffic.pongs),
            pings: read(&traffic.pings),
            handler_calls: read(&self.tally.made),
            handler_calls_failed: read(&self.tally.failed),
            messages_published: self.push.published(),
            faults_applied: lock(&self.faults).applied,
            ..Counters::default()
        };
        {
            let journal = lock(&self.journal);
            counters.connections = journal.connections;
            counters.requests = journal.seen;
            counters.polls = journal.polls;
            counters.polls_served = journal.polls_served;
        }
        let portal = lock(&self.portal);
        counters.calls.clone_from(&portal.calls);
        counters.renewals = portal.renewals;
        counters.dead_authorizations = portal.tokens.dead_authorizations;
        counters.events_made = portal.events_made;
        counters.handler_calls_skipped = portal.calling.skipped;
        counters.limit_refusals = portal.limit_refusals;
        counters.operating_refusals = portal.operating_refusals;
        counters
    }

    async fn respond(
        &self,
        origin: Origin,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<AnswerBody>, NoAnswer> {
        let clock = Instant::now();
        let request = read(request).await?;
        lock(&self.journal).record(&request);
        let outcome = self.outcome(origin, &request).await;
        if let Some(log) = &self.access_log {
            // The path only: a query may carry a token.
            let ended = outcome.as_ref().map_or("dropped".to_owned(), |answer| answer.status().as_str().to_owned());
            log(&format!("{} {} {ended} {:.1?}", request.method, request.path, clock.elapsed()));
        }
        outcome
    }

    async fn outcome(&self, origin: Origin, request: &Request) -> Result<Response<AnswerBody>, NoAnswer> {
        let endpoint = Endpoint::of(origin, self.on_premise, &request.path);
        let fate = endpoint.target().map(|target| lock(&self.faults).fate(target)).unwrap_or_default();
        if fate.drop == Some(DropWhen::BeforeHandling) {
            return Err(NoAnswer);
        }
        let answer = match fate.fail {
            Some(answer) => answer,
            None => self.answer(&endpoint, request).await?,
        };
        let delay = fate.delay + self.usual_delay(&endpoint);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match fate.drop {
            // After this head there is no body that could break off.
            Some(DropWhen::MidAnswer { .. }) if answer.status == StatusCode::SWITCHING_PROTOCOLS => Err(NoAnswer),
            Some(DropWhen::MidAnswer { after_bytes }) => Ok(answer.into_response(Some(after_bytes))),
            Some(DropWhen::AfterHandling | DropWhen::BeforeHandling) => Err(NoAnswer),
            None => Ok(answer.into_response(None)),
        }
    }

    async fn answer(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, NoAnswer> {
        match endpoint {
            Endpoint::Rest(route) => Ok(rest::handle(&self.portal, route, request)),
            Endpoint::OAuth => {
                let params = rest::params(request);
                let (status, body) = oauth::token(&mut lock(&self.portal), &params);
                Ok(rest::answer(status, &body))
            }
            Endpoint::Authorize => Ok(oauth::authorize(&mut lock(&self.portal), &rest::params(request))),
            Endpoint::AuthInfo => {
                let (status, body) = oauth::app_info(&lock(&self.portal), &rest::params(request));
                Ok(rest::answer(status, &body))
            }
            Endpoint::Push => {
                lock(&self.journal).polls += 1;
                let answer = long_polling::serve(&self.push, &request.query).await?;
                lock(&self.journal).polls_served += u64::from(answer.status == StatusCode::OK);
                Ok(answer)
            }
            Endpoint::WebSocket => websocket::serve(&self.push, request),
            Endpoint::Control => Ok(self.control(request)),
            Endpoint::Nobody => Ok(Answer::new(StatusCode::NOT_FOUND, "text/html", "<h1>404 Not Found</h1>")),
        }
    }

    fn usual_delay(&self, endpoint: &Endpoint) -> Duration {
        match endpoint {
            Endpoint::Rest(_) => *lock(&self.delay),
            _ => Duration::ZERO,
        }
    }

    /// The records that are left: old ones are deleted first.
    pub fn queue(&self) -> Vec<QueueRecord> {
        let mut portal = lock(&self.portal);
        portal.clean_queue();
        portal.queue.records().to_vec()
    }

    /// `POST` does what the body says, `GET` shows the counters and the queue.
    fn control(&self, request: &Request) -> Answer {
        if request.method == Method::GET {
            let counters = self.counters();
            let queue = self.queue();
            let shown = serde_json::json!({"counters": counters, "queue": queue});
            return Answer::new(StatusCode::OK, "application/json", shown.to_string());
        }
        let items = control::parse(&request.body).map_err(|error| error.to_string());
        match items.and_then(|items| items.into_iter().try_for_each(|item| item.apply(self))) {
            Ok(()) => Answer::new(StatusCode::OK, "application/json", r#"{"result":true}"#),
            Err(reason) => {
                let body = json!({"error": "CONTROL", "error_description": reason});
                Answer::new(StatusCode::BAD_REQUEST, "application/json", body.to_string())
            }
        }
    }
}

async fn read(mut request: hyper::Request<Incoming>) -> Result<Request, NoAnswer> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| NoAnswer)?.to_bytes();
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: head.headers,
        body,
        upgrade,
    })
}

/// Takes connections until the runtime ends.
pub async fn accept(server: Arc<Server>, origin: Origin, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                lock(&server.journal).connections += 1;
                tokio::spawn(serve_connection(Arc::clone(&server), origin, stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_connection(server: Arc<Server>, origin: Origin, stream: TcpStream) {
    // Without it the answer to a held poll could wait for an acknowledgement. A failure only costs time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { server.respond(origin, request).await }
    });
    // An error is a client that went away or a connection dropped on purpose.
    let _ = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// Replaces channels that expire, as the portal's agent does.
pub async fn renew_channels(server: Arc<Server>) {
    loop {
        let end = lock(&server.portal).channels.next_end();
        tokio::time::sleep_until(end.into()).await;
        lock(&server.portal).channels.renew_expired();
    }
}
