//! Ending a client: everything that waits is woken, whatever the reason.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timeout;
use crate::config::Source;
use crate::context::Context;
use crate::error::{Error, Refusal, Status};
use crate::handler::InstallationCallbacks;
use crate::handler::port::Port;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::push::listener::Listener;

/// Everything that has to be woken when the client ends.
#[derive(Clone)]
pub(super) struct Shutdown {
    pub(super) portal: Arc<Portal>,
    pub(super) listener: Arc<Listener>,
    pub(super) port: Arc<Port>,
    pub(super) doorbell: Arc<Doorbell>,
    pub(super) ctx: Context,
}

impl Shutdown {
    /// Wakes every wait and interrupts every request. Called once, after the cancellation.
    pub(super) fn wake(&self) {
        self.port.close();
        self.listener.shutdown();
        self.portal.shutdown();
        self.doorbell.cancelled();
    }

    /// What the client does when its application is installed or uninstalled.
    pub(super) fn installation_callbacks(self, source: Source) -> InstallationCallbacks {
        let listener = self.listener.clone();
        InstallationCallbacks {
            on_install: Box::new(move || {
                if source == Source::Both {
                    // The listener keeps trying and reports what somebody has to act on.
                    let _ = listener.connect(Timeout::After(Duration::ZERO));
                }
            }),
            on_uninstall: Box::new(move || {
                if self.ctx.cancel.cancel_because(uninstalled()) {
                    self.wake();
                }
            }),
        }
    }
}

fn uninstalled() -> Error {
    Error::Refused(Box::new(Refusal {
        status: Status::Auth,
        code: "APPLICATION_UNINSTALLED".into(),
        http_status: 0,
        text: "the application was uninstalled from the portal, which closed this client; install the application \
               again and create a new client"
            .into(),
    }))
}
