//! The proof of an installation: its `access_token` has to belong to an administrator, and to our application on our
//! portal (docs/protocol.md §4).
//!
//! The portal is asked first, in one request. That decides about a local application, whose code is its `client_id`.
//! One of the Marketplace has another code, so the authorization server is asked too. Its answer names `client_id` and
//! `member_id` and changes nothing. A renewal with our secret would prove the same, but use up the tokens that are to
//! be proved: if its answer got lost, the installation would be lost with it.

use std::sync::Arc;

use crate::config::{Address, Settings};
use crate::error::Error;
use crate::portal::Portal;
use crate::state::tokens::TokenPair;

/// Why an installation is not proved. The texts hold nothing of the call.
pub enum Unproved {
    /// It is none of ours.
    Refused(&'static str),
    /// Who was asked did not answer.
    Unknown(&'static str),
}

/// Proves installations of one application.
pub struct InstallationProof {
    portal: Arc<Portal>,
    client_id: String,
    auth_server: Address,
}

impl InstallationProof {
    /// Sends no request.
    pub fn new(settings: &Settings, portal: Arc<Portal>) -> InstallationProof {
        let client_id = settings.client_id.clone();
        InstallationProof { portal, client_id, auth_server: settings.auth_server.clone() }
    }

    /// Whether anything can be proved.
    pub fn is_possible(&self) -> bool {
        !self.client_id.is_empty()
    }

    /// Fails unless the pair belongs to an administrator, our application and our portal. Blocks for a REST call, and
    /// for a request to the authorization server if the application is one of the Marketplace.
    pub fn check(&self, pair: &TokenPair) -> Result<(), Unproved> {
        let owner = self.portal.owner_of(&pair.access).map_err(|error| {
            refused_or_unknown(
                &error,
                "the portal does not accept the access_token of the installation",
                "the portal did not say whose the access_token of the installation is",
            )
        })?;
        if !owner.is_admin {
            return Err(Unproved::Refused(
                "the installation has the access_token of a user who is not an administrator; have an administrator \
                 install the application",
            ));
        }
        if owner.code == self.client_id {
            return Ok(());
        }
        let registration = self.portal.registration_of(&self.auth_server, &pair.access).map_err(|error| {
            refused_or_unknown(
                &error,
                "the authorization server does not accept the access_token of the installation; check auth.server",
                "the authorization server did not say whose the access_token of the installation is; check auth.server",
            )
        })?;
        if registration.client_id != self.client_id {
            return Err(Unproved::Refused("the installation is one of another application; check auth.client_id"));
        }
        if !registration.member_id().eq_ignore_ascii_case(&pair.member_id) {
            return Err(Unproved::Refused("the installation is one on another portal; check portal.url"));
        }
        Ok(())
    }
}

fn refused_or_unknown(error: &Error, refused: &'static str, unknown: &'static str) -> Unproved {
    if error.is_transient() { Unproved::Unknown(unknown) } else { Unproved::Refused(refused) }
}
