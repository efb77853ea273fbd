//! Single clients against a server that answers as it is told: what arrives at the wrong moment.

use std::sync::mpsc::channel;

use super::computer::{Computer, ModelFile};
use super::world::ModelClock;
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::state::{Folder, PrivateFile};

/// What renewals are answered with, and the refresh tokens that they were asked with.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Result<TokenPair>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<TokenPair>>) -> Arc<Script> {
        Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
    }

    fn renewals() -> Arc<Script> {
        Script::new((1..=8).map(|number| Ok(pair(&format!("t{number}")))))
    }
}

impl TokenServer for Arc<Script> {
    fn client_secret(&self) -> &Secret {
        static NONE: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));
        &NONE
    }

    fn exchange_code(&self, _: &str, _: u64) -> Result<TokenPair> {
        Err(Error::NotConnected)
    }

    fn refresh(&self, refresh: &Secret, _: u64) -> Result<TokenPair> {
        lock(&self.asked).push(refresh.expose().to_owned());
        lock(&self.answers).remove(0)
    }
}

fn pair(access: &str) -> TokenPair {
    TokenPair { access: Secret::new(access), refresh: Secret::new(format!("refresh of {access}")), ..TokenPair::none() }
}

/// A client, and the access tokens that its host was told.
struct TestClient {
    tokens: Tokens,
    told: Arc<Mutex<Vec<String>>>,
}

fn client(registry: &Arc<Registry>, server: impl TokenServer + 'static, file: Option<TokensFile>) -> TestClient {
    let ctx = Context {
        clock: Arc::new(ModelClock::default()),
        cancel: Cancellation::default(),
        log: Log::default(),
        stats: Arc::default(),
    };
    let store = Arc::new(Store::new(None, Identity::default()).unwrap());
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = told.clone();
    let host: TokensSink = Arc::new(move |pair| lock(&sink).push(pair.access.expose().to_owned()));
    let setup = TokensSetup {
        configured: pair("t0"),
        stored: store.family(),
        file,
        keeper: Arc::new(Keeper::new(store.clone(), Some(host), Log::default())),
        server: Box::new(server),
        renewed_by_host: false,
    };
    TestClient { tokens: Tokens::in_registry(registry.clone(), setup, ctx).unwrap(), told }
}

impl TestClient {
    fn access(&self) -> String {
        self.tokens.access().expose().to_owned()
    }

    fn renew(&self) -> Result<bool> {
        let deadline = Deadline::after(Duration::from_secs(60), self.tokens.ctx.clock.now());
        self.tokens.renew(&self.tokens.access(), deadline)
    }
}

fn portal() -> PortalName {
    PortalName { origin: "https://portal".into(), member_id: String::new() }
}

#[test]
fn a_new_authorization_counts_more_than_any_number_of_renewals_of_an_old_one() {
    let (registry, script) = (Arc::default(), Script::renewals());
    let first = client(&registry, script.clone(), None);
    (0..3).for_each(|_| assert!(first.renew().unwrap()));
    // While the first one renews, the second one cannot find out that both belong together.
    let ctx = &first.tokens.ctx;
    let permit =
        first.tokens.family().permit(Deadline::after(Duration::ZERO, ctx.clock.now()), &ctx.cancel, &*ctx.clock);
    let second = client(&registry, script, None);
    drop(permit.unwrap());
    assert_eq!(second.access(), "t0");
    second.tokens.present(pair("authorized anew"), true).unwrap();
    assert_eq!((second.access().as_str(), first.access().as_str()), ("authorized anew", "authorized anew"));
    assert_eq!(lock(&second.told).as_slice(), [""; 0], "its host has brought it");
    assert_eq!(lock(&first.told).last().unwrap(), "authorized anew");
}

#[test]
fn two_spellings_of_one_tokens_file_are_one_file() {
    let (registry, script) = (Arc::default(), Script::renewals());
    let folder = Folder::new("spellings");
    std::fs::create_dir_all(folder.path().join("x")).unwrap();
    let file = |path: &str| {
        let file = PrivateFile::new(folder.path().join(path)).unwrap();
        Some(TokensFile::new(Box::new(file), portal(), "app"))
    };
    let first = client(&registry, script.clone(), file("tokens.json"));
    let second = client(&registry, script, file("x/../tokens.json"));
    for client in [&first, &second, &first] {
        assert!(client.renew().unwrap());
    }
    assert_eq!(first.access(), "t3");
    assert_eq!(second.access(), "t3");
}

#[test]
fn another_refusal_does_not_remove_the_doubt() {
    let script = Script::new([
        Err(Error::Network("the answer was lost".into())),
        Err(refusal::to_error(503, "QUERY_LIMIT_EXCEEDED", "")),
        Err(refusal::to_error(400, "invalid_grant", "")),
    ]);
    let client = client(&Arc::default(), script, None);
    assert!(client.renew().is_err() && client.renew().is_err());
    let error = client.renew().unwrap_err();
    assert!(is_invalid_grant(&error) && error.to_string().contains("never arrived"), "{error}");
}

#[test]
fn a_server_that_was_not_reached_leaves_no_doubt() {
    let script = Script::new([
        Err(Error::Unreachable("no server has this name".into())),
        Err(refusal::to_error(400, "invalid_grant", "")),
    ]);
    let client = client(&Arc::default(), script, None);
    assert!(client.renew().is_err());
    assert_eq!(client.tokens.to_carry().renewal_begun(), None);
    let error = client.renew().unwrap_err();
    assert!(is_invalid_grant(&error) && !error.to_string().contains("never arrived"), "{error}");
}

#[test]
fn the_token_that_was_sent_is_redacted_even_if_another_one_is_in_use() {
    let client = client(&Arc::default(), Script::renewals(), None);
    let sent = client.tokens.access();
    client.renew().unwrap();
    let text = client.tokens.redact("t0 is not valid, nor is t1 (refresh of t1)", &sent);
    assert_eq!(text, "*** is not valid, nor is *** (***)");
}

#[test]
fn a_corrected_refresh_token_is_used_even_after_a_doubt() {
    let script = Script::new([
        Err(Error::Network("the connection was refused".into())),
        Err(refusal::to_error(400, "invalid_grant", "")),
        Ok(pair("t1")),
    ]);
    let client = client(&Arc::default(), script.clone(), None);
    assert!(client.renew().is_err() && client.renew().is_err());
    let corrected = TokenPair { refresh: Secret::new("corrected"), ..pair("t0") };
    client.tokens.present(corrected, true).unwrap();
    client.renew().unwrap();
    assert_eq!(lock(&script.asked).last().unwrap(), "corrected");
}

#[test]
fn a_pair_that_is_presented_while_another_process_renews_is_not_lost() {
    let computer = Computer::default();
    let file = || {
        let file = ModelFile { computer: computer.clone(), name: "shared".into() };
        TokensFile::new(Box::new(file), portal(), "app")
    };
    let client = client(&Arc::default(), Script::new([]), Some(file()));
    let theirs = file();
    let guard = theirs.try_lock().unwrap().unwrap();
    let mut renewed = theirs.read(&TokenFamily::none()).unwrap().unwrap();
    let told = client.tokens.present(pair("installed"), false).unwrap_err();
    assert!(matches!(told, Error::Busy(_)), "{told}");
    assert_eq!(client.access(), "installed", "it is used all the same");
    renewed.renewed(&Secret::new("t0"), TokenPair { expires: 4_000_000_000, ..pair("t1") });
    theirs.write(&renewed).unwrap();
    drop(guard);
    client.tokens.present(pair("installed"), false).unwrap();
    assert_eq!(client.access(), "installed");
    let _guard = theirs.try_lock().unwrap().unwrap();
    assert_eq!(theirs.read(&renewed).unwrap().unwrap().pair().access.expose(), "installed");
}

/// A server that answers when it is told to.
struct Slow {
    asked: std::sync::mpsc::Sender<()>,
    answer: Mutex<std::sync::mpsc::Receiver<Result<TokenPair>>>,
}

impl TokenServer for Slow {
    fn client_secret(&self) -> &Secret {
        static NONE: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));
        &NONE
    }

    fn exchange_code(&self, _: &str, _: u64) -> Result<TokenPair> {
        Err(Error::NotConnected)
    }

    fn refresh(&self, _: &Secret, _: u64) -> Result<TokenPair> {
        self.asked.send(()).unwrap();
        lock(&self.answer).recv().unwrap()
    }
}

#[test]
fn what_becomes_of_a_renewal_is_not_noted_of_a_pair_that_arrived_meanwhile() {
    for outcome in [Err(refusal::to_error(400, "invalid_grant", "")), Ok(pair("t1"))] {
        let ((asked, ask), (answer, answered)) = (channel(), channel());
        let client = client(&Arc::default(), Slow { asked, answer: Mutex::new(answered) }, None);
        std::thread::scope(|scope| {
            let renewal = scope.spawn(|| client.renew());
            ask.recv().unwrap();
            client.tokens.present(pair("installed"), false).unwrap();
            answer.send(outcome).unwrap();
            let _ = renewal.join().unwrap();
        });
        let family = client.tokens.to_carry();
        assert_eq!(family.pair().access.expose(), "installed");
        assert!(!family.is_refused() && family.renewal_begun().is_none());
    }
}

/// Remembers how long its end was allowed to take.
#[derive(Default)]
struct Patient(Mutex<Option<Duration>>);

impl TokenKeeper for Patient {
    fn reserve_space(&self) -> Result<()> {
        Ok(())
    }

    fn store(&self, _: &TokenFamily) -> Result<()> {
        Ok(())
    }

    fn report(&self, _: &TokenPair) {}

    fn storage_key(&self) -> Option<String> {
        None
    }

    fn store_after_end(&self, _: &TokenFamily) -> Result<bool> {
        Ok(false)
    }

    fn end(&self, max: Duration) {
        *lock(&self.0) = Some(max);
    }
}

#[test]
fn an_end_has_one_limit_for_everything_that_it_waits_for() {
    let keeper = Arc::new(Patient::default());
    let family = SharedFamily::new(TokenFamily::new(pair("t0")));
    let member = Member::new(keeper.clone(), None, family.clone());
    let never = Deadline::after(Duration::from_secs(3600), SystemClock.now());
    let permit = family.permit(never, &Cancellation::default(), &SystemClock);
    member.end(Deadline::after(Duration::from_millis(50), SystemClock.now()), &SystemClock);
    drop(permit.unwrap());
    assert_eq!(*lock(&keeper.0), Some(Duration::ZERO), "the renewal has used all of it up");
    assert!(family.members().is_empty());
}

/// A host that lets the test see each report begin and decide when it ends.
struct SlowHost {
    entered: std::sync::mpsc::Sender<String>,
    leave: Mutex<std::sync::mpsc::Receiver<()>>,
    told: Mutex<Vec<String>>,
}

impl TokenKeeper for SlowHost {
    fn reserve_space(&self) -> Result<()> {
        Ok(())
    }

    fn store(&self, _: &TokenFamily) -> Result<()> {
        Ok(())
    }

    fn report(&self, pair: &TokenPair) {
        let access = pair.access.expose().to_owned();
        self.entered.send(access.clone()).unwrap();
        if access == "t1" {
            lock(&self.leave).recv().unwrap();
        }
        lock(&self.told).push(access);
    }

    fn storage_key(&self) -> Option<String> {
        None
    }

    fn store_after_end(&self, _: &TokenFamily) -> Result<bool> {
        Ok(false)
    }

    fn end(&self, _: Duration) {}
}

#[test]
fn a_host_is_not_told_of_a_pair_after_a_newer_one() {
    let ((entered, enter), (leave, left)) = (channel(), channel());
    let keeper = Arc::new(SlowHost { entered, leave: Mutex::new(left), told: Mutex::default() });
    let member = Member::new(keeper.clone(), None, SharedFamily::new(TokenFamily::new(pair("t0"))));
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| member.report(&pair("t1"), false));
        enter.recv().unwrap();
        scope.spawn(|| member.report(&pair("t2"), false));
        // The host is still busy with the first one.
        let waited = enter.recv_timeout(Duration::from_millis(100)).is_err();
        leave.send(()).unwrap();
        waited
    });
    assert!(waited);
    assert_eq!(lock(&keeper.told).as_slice(), ["t1", "t2"]);
}
