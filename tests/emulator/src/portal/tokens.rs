//! Token pairs of the application, and when they expire.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::conditions::AuthServer;
use crate::{random, time};

/// Lifetime of an authorization code.
const CODE_TTL: Duration = Duration::from_secs(30);

/// A token pair as it is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    /// Unix seconds.
    pub expires: i64,
    pub user_id: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Access {
    User(u32),
    /// Known, but no longer good: its time is over, it was replaced or revoked.
    Expired,
    Unknown,
    /// The portal does not remember it, and cannot ask.
    Unchecked,
}

struct Issued {
    user: u32,
    /// All pairs that follow from one another by renewal.
    authorization: u64,
    /// Whether the portal has asked the authorization server about it, or has got it from there.
    remembered: bool,
    /// `None` when the token was ended before its time.
    good_until: Option<Instant>,
    refresh_token: String,
}

impl Issued {
    fn access(&self) -> Access {
        let good = self.good_until.is_some_and(|end| Instant::now() < end);
        if good { Access::User(self.user) } else { Access::Expired }
    }
}

pub struct TokenStore {
    ttl: Duration,
    access: HashMap<String, Issued>,
    /// Refresh token to access token.
    refresh: HashMap<String, String>,
    /// Refresh tokens that were used, and their authorization.
    used: HashMap<String, u64>,
    authorizations: u64,
    /// Authorizations that died because a pair was used twice.
    pub dead_authorizations: u64,
    codes: HashMap<String, (u32, Instant)>,
}

impl TokenStore {
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            access: HashMap::new(),
            refresh: HashMap::new(),
            used: HashMap::new(),
            authorizations: 0,
            dead_authorizations: 0,
            codes: HashMap::new(),
        }
    }

    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The first pair of a new authorization.
    pub fn issue(&mut self, user: u32) -> Tokens {
        self.authorizations += 1;
        self.issue_for(user, self.authorizations)
    }

    fn issue_for(&mut self, user: u32, authorization: u64) -> Tokens {
        let tokens = Tokens {
            access_token: random::hex(70),
            refresh_token: random::hex(70),
            expires: time::unix_now().saturating_add(time::seconds(self.ttl)),
            user_id: user,
        };
        let good_until = Some(time::end_of(self.ttl));
        let refresh_token = tokens.refresh_token.clone();
        self.access.insert(
            tokens.access_token.clone(),
            Issued { user, authorization, remembered: false, good_until, refresh_token },
        );
        self.refresh.insert(tokens.refresh_token.clone(), tokens.access_token.clone());
        tokens
    }

    /// Whose token it is. The portal remembers what the authorization server told about it.
    pub fn check(&mut self, access_token: &str, server: AuthServer) -> Access {
        let issued = self.access.get_mut(access_token);
        let remembered = issued.as_ref().is_some_and(|issued| issued.remembered);
        match server {
            AuthServer::Reachable => {}
            AuthServer::Unreachable if remembered => {}
            AuthServer::Unreachable | AuthServer::UnreachableAndForgotten => return Access::Unchecked,
        }
        let Some(issued) = issued else { return Access::Unknown };
        issued.remembered = true;
        issued.access()
    }

    /// Whose token it is, by the authorization server itself.
    pub fn owner(&self, access_token: &str) -> Access {
        self.access.get(access_token).map_or(Access::Unknown, Issued::access)
    }

    /// A new pair for an old one, which is dead from now on. Whoever uses an old one again kills the whole authorization.
    pub fn renew(&mut self, refresh_token: &str) -> Option<Tokens> {
        let Some(access_token) = self.refresh.remove(refresh_token) else {
            if let Some(authorization) = self.used.get(refresh_token).copied() {
                self.kill(authorization);
            }
            return None;
        };
        let issued = self.access.get_mut(&access_token)?;
        issued.good_until = None;
        let (user, authorization) = (issued.user, issued.authorization);
        self.used.insert(refresh_token.to_owned(), authorization);
        Some(self.issue_for(user, authorization))
    }

    fn kill(&mut self, authorization: u64) {
        let mut was_alive = false;
        for issued in self.access.values_mut().filter(|issued| issued.authorization == authorization) {
            issued.good_until = None;
            was_alive |= self.refresh.remove(&issued.refresh_token).is_some();
        }
        self.dead_authorizations += u64::from(was_alive);
    }

    pub fn new_code(&mut self, user: u32) -> String {
        let code = random::hex(70);
        self.codes.insert(code.clone(), (user, time::end_of(CODE_TTL)));
        code
    }

    /// A code is good for one exchange.
    pub fn exchange_code(&mut self, code: &str) -> Option<Tokens> {
        let (user, good_until) = self.codes.remove(code)?;
        (Instant::now() < good_until).then(|| self.issue(user))
    }

    /// Access tokens end now, refresh tokens stay good.
    pub fn expire(&mut self) {
        self.access.values_mut().for_each(|issued| issued.good_until = None);
    }

    /// Everything ends now.
    pub fn revoke(&mut self) {
        self.expire();
        for issued in self.access.values() {
            self.refresh.remove(&issued.refresh_token);
        }
        self.codes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(store: &mut TokenStore, token: &str) -> Access {
        store.check(token, AuthServer::Reachable)
    }

    #[test]
    fn renewal_kills_the_old_pair() {
        let mut store = TokenStore::new(Duration::from_secs(60));
        let old = store.issue(1);
        let new = store.renew(&old.refresh_token).unwrap();
        assert_eq!(check(&mut store, &old.access_token), Access::Expired);
        assert_eq!(check(&mut store, &new.access_token), Access::User(1));
        store.revoke();
        assert_eq!(store.renew(&new.refresh_token), None);
        assert_eq!(check(&mut store, "nonsense"), Access::Unknown);
    }

    #[test]
    fn using_a_pair_again_kills_its_authorization_and_no_other() {
        let mut store = TokenStore::new(Duration::from_secs(60));
        let (old, other) = (store.issue(1), store.issue(1));
        let new = store.renew(&old.refresh_token).unwrap();
        for _ in 0..2 {
            assert_eq!(store.renew(&old.refresh_token), None);
            assert_eq!(store.dead_authorizations, 1);
        }
        assert_eq!(check(&mut store, &new.access_token), Access::Expired);
        assert_eq!(store.renew(&new.refresh_token), None);
        assert_eq!(check(&mut store, &other.access_token), Access::User(1));
        assert_eq!(store.renew("<nonsense>"), None);
    }

    #[test]
    fn codes_are_good_once() {
        let mut store = TokenStore::new(Duration::ZERO);
        let code = store.new_code(7);
        let tokens = store.exchange_code(&code).unwrap();
        assert_eq!(tokens.user_id, 7);
        assert_eq!(store.exchange_code(&code), None);
        assert_eq!(check(&mut store, &tokens.access_token), Access::Expired);
    }

    #[test]
    fn what_the_portal_remembers_needs_no_server() {
        let mut store = TokenStore::new(Duration::from_secs(60));
        let (seen, new) = (store.issue(1).access_token, store.issue(1).access_token);
        assert_eq!(check(&mut store, &seen), Access::User(1));
        let server = AuthServer::Unreachable;
        assert_eq!(store.check(&seen, server), Access::User(1));
        assert_eq!(store.check(&new, server), Access::Unchecked);
        assert_eq!(store.check("nonsense", server), Access::Unchecked);
        assert_eq!(store.check(&seen, AuthServer::UnreachableAndForgotten), Access::Unchecked);
        assert_eq!(check(&mut store, &new), Access::User(1));
    }
}
