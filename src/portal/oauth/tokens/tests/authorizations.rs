//! The authorization server of the model, which never forgives a pair that is used twice.

use super::computer::Computer;
use super::*;

/// What the authorization server knows.
#[derive(Default)]
pub(super) struct Authorizations {
    /// Refresh tokens that are good, and their authorization.
    pub(super) good: HashMap<String, u64>,
    used: HashMap<String, u64>,
    issued: u64,
    pub(super) lose_next_answer: bool,
    /// The next renewal is refused with this code, and nothing is used up.
    pub(super) refuse_next_with: Option<&'static str>,
    /// Pairs do not say when they expire, as those that a host presents.
    pub(super) without_expiry: bool,
    /// Another program fills the disk while the next renewal is answered.
    pub(super) fill_disk_at_next_answer: bool,
    pub(super) renewals: u64,
    /// For each use of a pair that was used before: the good refresh token of its authorization at that moment.
    pub(super) misused: Vec<Option<String>>,
    /// Held while a renewal is answered, for tests of what happens meanwhile.
    pub(super) slow: Option<Arc<Mutex<()>>>,
}

impl Authorizations {
    fn issue(&mut self, authorization: u64) -> TokenPair {
        self.issued += 1;
        let refresh = format!("<refresh {}>", self.issued);
        self.good.insert(refresh.clone(), authorization);
        TokenPair {
            access: Secret::new(format!("<access {}>", self.issued)),
            refresh: Secret::new(refresh),
            expires: if self.without_expiry { 0 } else { self.issued },
            ..TokenPair::none()
        }
    }

    pub(super) fn authorize(&mut self) -> TokenPair {
        self.issue(self.issued + 1)
    }
}

pub(super) struct ModelServer {
    pub(super) authorizations: Arc<Mutex<Authorizations>>,
    pub(super) computer: Computer,
}

impl TokenServer for ModelServer {
    fn client_secret(&self) -> &Secret {
        static NONE: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));
        &NONE
    }

    fn exchange_code(&self, _: &str, _: u64) -> Result<TokenPair> {
        Ok(lock(&self.authorizations).authorize())
    }

    fn refresh(&self, refresh: &Secret, _: u64) -> Result<TokenPair> {
        self.computer.moment();
        let mut server = lock(&self.authorizations);
        if let Some(code) = server.refuse_next_with.take() {
            return Err(refusal::to_error(503, code, ""));
        }
        let Some(authorization) = server.good.remove(refresh.expose()) else {
            // The whole authorization dies, as with the real server.
            let authorization = server.used.get(refresh.expose()).copied();
            let good = server.good.iter().find(|(_, of)| Some(**of) == authorization).map(|(token, _)| token.clone());
            if let Some(token) = &good {
                server.good.remove(token);
            }
            server.misused.push(good);
            return Err(refusal::to_error(400, "invalid_grant", ""));
        };
        server.used.insert(refresh.expose().to_owned(), authorization);
        server.renewals += 1;
        let pair = server.issue(authorization);
        let lose = std::mem::take(&mut server.lose_next_answer);
        if std::mem::take(&mut server.fill_disk_at_next_answer) {
            self.computer.disk().full = true;
        }
        let slow = server.slow.clone();
        drop(server);
        if let Some(slow) = slow {
            drop(lock(&slow));
        }
        self.computer.moment();
        if lose { Err(Error::Network("the connection broke".into())) } else { Ok(pair) }
    }
}
