//! A user who works in the portal.

use std::error::Error;

use serde_json::Value;

pub struct User {
    /// The change is not the application's own: its queue would leave that out.
    webhook_url: String,
    agent: ureq::Agent,
}

impl User {
    pub fn new(webhook_url: String) -> User {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        User { webhook_url, agent }
    }

    /// A REST call that has to succeed, in a batch every command of it.
    pub fn call(&self, method: &str, params: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        let request = self.agent.post(format!("{}{method}", self.webhook_url)).content_type("application/json");
        let text = request.send(params)?.body_mut().read_to_string()?;
        let answer: Value = serde_json::from_str(&text)?;
        let failed_command = answer["result"]["result_error"].as_object().is_some_and(|errors| !errors.is_empty());
        if answer["error"].is_string() || failed_command {
            return Err(format!("the portal refused {method}: {text}").into());
        }
        Ok(())
    }
}
