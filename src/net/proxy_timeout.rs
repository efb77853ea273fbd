//! Bounds the whole answer of a proxy. ureq bounds each of its reads, so a proxy that drips would outlast every timeout.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::lock;

/// When the proxy must have answered; `None` once it has.
#[derive(Clone, Default)]
pub(super) struct ProxyDeadline(Arc<Mutex<Option<Instant>>>);

impl ProxyDeadline {
    /// The moment at which `timeout` expires, if it does.
    pub(super) fn new(timeout: &NextTimeout) -> ProxyDeadline {
        let expires = Some(*timeout.after).filter(|_| !timeout.after.is_not_happening());
        ProxyDeadline(Arc::new(Mutex::new(expires.and_then(|after| Instant::now().checked_add(after)))))
    }

    /// The proxy has answered: what comes now is from the host behind it.
    pub(super) fn lift(&self) {
        *lock(&self.0) = None;
    }

    /// Applies it to the connection to the proxy.
    pub(super) fn bound(&self, inner: Box<dyn Transport>) -> Box<dyn Transport> {
        Box::new(BoundedTransport { inner, deadline: self.clone() })
    }
}

struct BoundedTransport {
    inner: Box<dyn Transport>,
    deadline: ProxyDeadline,
}

impl fmt::Debug for BoundedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedTransport").field(&self.inner).finish()
    }
}

impl Transport for BoundedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        if let Some(deadline) = *lock(&self.deadline.0) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout(timeout.reason));
            }
            timeout.after = left.min(*timeout.after).into();
        }
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
