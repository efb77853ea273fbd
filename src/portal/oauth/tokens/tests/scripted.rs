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
    client_of(registry, server, file, |_| ())
}

/// Likewise, whose host does `before` with each access token before it knows it.
fn client_of(
    registry: &Arc<Registry>,
    server: impl TokenServer + 'static,
    file: Option<TokensFile>,
    before: impl Fn(&str) + Send + Sync + 'static,
) -> TestClient {
    let ctx = Context {
        clock: Arc::new(ModelClock::default()),
        cancel: Cancellation::default(),
        log: Log::default(),
        stats: Arc::default(),
    };
    let store = Arc::new(Store::new(None, Identity::default()).unwrap());
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = told.clone();
    let host: TokensSink = Arc::new(move |pair| {
        before(pair.access.expose());
        lock(&sink).push(pair.access.expose().to_owned());
    });
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

/// A pair arrives without a turn, as when somebody else has it for too long.
fn arrive(client: &TestClient, pair: impl Fn(&TokenFamily) -> TokenPair) {
    let arrives = |family: &mut TokenFamily| family.present(pair(family));
    let (_, stored) = client.tokens.family().change(arrives, &mut Files::default(), None, false);
    stored.unwrap();
}

#[test]
fn a_host_that_stores_one_pair_is_told_the_next_one_after_it() {
    let ((entered, enter), (leave, left)) = (channel(), channel::<()>());
    let left = Mutex::new(left);
    let client = client_of(&Arc::default(), Script::renewals(), None, move |access| {
        if access == "t1" {
            entered.send(()).unwrap();
            lock(&left).recv().unwrap();
        }
    });
    std::thread::scope(|scope| {
        let renewal = scope.spawn(|| client.renew());
        enter.recv().unwrap();
        arrive(&client, |_| pair("installed"));
        assert_eq!(client.access(), "installed", "it is used, although its host is not told yet");
        leave.send(()).unwrap();
        renewal.join().unwrap().unwrap();
    });
    assert_eq!(lock(&client.told).as_slice(), ["t1", "installed"]);
    assert_eq!(client.access(), "installed");
}

#[test]
fn a_host_that_sets_tokens_in_its_callback_is_told_what_it_does_not_know() {
    let slot: Arc<Mutex<Option<Arc<SharedFamily>>>> = Arc::default();
    let inside = slot.clone();
    let client = client_of(&Arc::default(), Script::renewals(), None, move |access| {
        let family = lock(&inside).clone().filter(|_| access == "t1");
        if let Some(family) = family {
            let (_, _) = family.change(|family| family.present(pair("t2")), &mut Files::default(), None, false);
        }
    });
    *lock(&slot) = Some(client.tokens.family());
    assert!(client.renew().unwrap());
    assert_eq!(lock(&client.told).as_slice(), ["t1", "t2"]);
    *lock(&slot) = None;
}

#[test]
fn of_many_changes_at_once_a_host_is_told_in_their_order() {
    let client = client_of(&Arc::default(), Script::renewals(), None, |_| std::thread::yield_now());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    arrive(&client, |family| pair(&(family.generation() + 1).to_string()));
                }
            });
        }
    });
    let told: Vec<u64> = lock(&client.told).iter().map(|access| access.parse().unwrap()).collect();
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(told.last().unwrap().to_string(), client.access());
    assert_eq!(client.tokens.to_carry().generation(), 401, "each of them counts");
}

#[test]
fn a_request_that_never_left_leaves_no_doubt() {
    let unreachable = || Err(Error::Unreachable("the name cannot be resolved".into()));
    let refused = || Err(refusal::to_error(400, "invalid_grant", ""));
    let text = |answers: Vec<Result<TokenPair>>| {
        let renewals = answers.len();
        let client = client(&Arc::default(), Script::new(answers), None);
        (1..renewals).for_each(|_| assert!(client.renew().is_err()));
        let error = client.renew().unwrap_err();
        assert!(is_invalid_grant(&error));
        (error.to_string().contains("never arrived"), client.tokens.to_carry().renewal_begun().is_some())
    };
    assert!(!text(vec![unreachable(), refused()]).0);
    let not_configured = || Err(Error::Config("auth.client_id is not set".into()));
    assert!(!text(vec![not_configured(), refused()]).0);
    // What was in doubt before still is.
    let lost = || Err(Error::Network("the connection was cut".into()));
    assert!(text(vec![lost(), unreachable(), refused()]).0);
    assert!(text(vec![unreachable(), lost(), refused()]).0);
    let client = client(&Arc::default(), Script::new([unreachable()]), None);
    assert!(matches!(client.renew(), Err(Error::Unreachable(_))));
    assert_eq!(client.tokens.to_carry().renewal_begun(), None);
}

#[test]
fn a_text_shows_no_token_that_was_sent_or_that_another_client_has_bought() {
    let (registry, script) = (Arc::default(), Script::renewals());
    let first = client(&registry, script.clone(), None);
    let second = client(&registry, script, None);
    let sent = second.tokens.access();
    assert!(first.renew().unwrap() && first.renew().unwrap());
    let text = "auth=t0&x=t1 'refresh of t2' refresh%20of%20t2 {\"a\":\"t2\"} foreign other";
    let shown = second.tokens.redact(text, &Secret::new("foreign"));
    assert_eq!(shown, "auth=***&x=*** '***' *** {\"a\":\"***\"} *** other");
    assert_eq!(second.tokens.redact("sent t0", &sent), "sent ***");
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
