//! Finds out which application a token belongs to (`app.info`, docs/protocol.md §2.1).

use std::time::Duration;

use serde::Deserialize;

use super::answer::unexpected_result;
use super::call::Portal;
use super::php;
use crate::error::Result;
use crate::secret::Secret;

/// While the portal installs an application, it waits for the handler; a later proof would be too late.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

impl Portal {
    /// Calls `app.info` with a token from outside. Returns the code of the application that the token belongs to; for a
    /// local application that is its `client_id`. Blocks for one call.
    pub fn application_of(&self, access: &Secret) -> Result<String> {
        #[derive(Deserialize)]
        struct Application {
            #[serde(rename = "CODE", default, deserialize_with = "php::text")]
            code: String,
        }
        let answer = self.call_with_token(access, "app.info", PROOF_TIMEOUT)?;
        serde_json::from_str::<Application>(answer.result())
            .map(|application| application.code)
            .map_err(|error| unexpected_result("app.info", &error))
    }
}
