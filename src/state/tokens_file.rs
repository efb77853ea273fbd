//! The file in which processes of one machine share a token family (`auth.tokens_file`).

use super::document::{Document, PortalName, Unreadable};
use super::family::TokenFamily;
use super::storage::{Guard, Storage};
use crate::error::{Error, Result};

/// See the module. Written under its lock only.
pub struct TokensFile {
    storage: Box<dyn Storage>,
    portal: PortalName,
    client_id: String,
}

/// What a file with new tokens may take in addition to the present one.
const SPACE_FOR_TOKENS: u64 = 8192;

impl TokensFile {
    /// The tokens of an application (of any when its id is empty) on a portal.
    pub fn new(storage: Box<dyn Storage>, portal: PortalName, client_id: &str) -> TokensFile {
        TokensFile { storage, portal, client_id: client_id.to_owned() }
    }

    /// The same for every spelling of its path.
    pub fn key(&self) -> String {
        self.storage.key()
    }

    /// Locks the file; `None` when another process or client holds the lock.
    pub fn try_lock(&self) -> Result<Option<Guard>> {
        self.storage.try_lock()
    }

    /// The family in the file, if there is one. Tokens of `ours` are recognized even after the portal was renamed.
    pub fn read(&self, ours: &TokenFamily) -> Result<Option<TokenFamily>> {
        let Some(text) = self.storage.read()? else { return Ok(None) };
        let name = self.storage.name();
        let failed = |unreadable| match unreadable {
            Unreadable::NoState => {
                Error::State(format!("{name} holds no tokens; remove it, or set auth.tokens_file to another file"))
            }
            Unreadable::Version(version) => Error::State(format!(
                "{name} has version {version}, which this version of the library does not read; use the version that \
                 wrote it, or a later one"
            )),
        };
        let document = Document::read_tokens(&text).map_err(failed)?;
        let is_ours =
            document.client_id.is_empty() || self.client_id.is_empty() || document.client_id == self.client_id;
        if !is_ours {
            return Err(Error::State(format!(
                "{name} holds the tokens of another application; set auth.tokens_file to a file of its own"
            )));
        }
        let family = document.family().map_err(failed)?;
        if !family.is_related(ours) && !self.portal.is_portal_of(&document.portal, &family) {
            return Err(Error::State(format!(
                "{name} holds the tokens of the portal {}, but this client is configured for {}; set auth.tokens_file \
                 to a file of its own",
                document.portal, self.portal
            )));
        }
        Ok(Some(family))
    }

    /// Makes sure that a family with a new pair can be written.
    pub fn reserve_space(&self, family: &TokenFamily) -> Result<()> {
        self.storage.reserve_space(self.json(family).len() as u64 + SPACE_FOR_TOKENS)
    }

    /// Replaces the family in the file.
    pub fn write(&self, family: &TokenFamily) -> Result<()> {
        self.storage.write(self.json(family).as_bytes())
    }

    fn json(&self, family: &TokenFamily) -> String {
        let mut document = Document::with(family);
        document.portal = self.portal.with_member_id_of(family);
        document.client_id.clone_from(&self.client_id);
        document.to_json()
    }
}
