//! Whose token is it? (protocol.md §2.1, `app.info`)

use std::time::Duration;

use serde::Deserialize;

use super::call::Portal;
use super::php;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The portal that installs an application waits for its handler; a proof that takes longer comes too late.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

impl Portal {
    /// `app.info` with a token from outside: the code of the application that the token belongs to, which is the
    /// `client_id` of a local application. Blocks for one call.
    pub fn application_of(&self, access: &Secret) -> Result<String> {
        #[derive(Deserialize)]
        struct Application {
            #[serde(rename = "CODE", default, deserialize_with = "php::text")]
            code: String,
        }
        let answer = self.call_as(access, "app.info", PROOF_TIMEOUT)?;
        serde_json::from_str::<Application>(answer.result())
            .map(|application| application.code)
            .map_err(|_| Error::protocol("the answer to app.info has an unexpected shape"))
    }
}
