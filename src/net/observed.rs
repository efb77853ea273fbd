//! A transport layer that knows when a request has been sent and is waiting for its answer.
//!
//! Long polling needs both moments: *sent* is when a subscription stands, and while waiting the thread has to do small
//! things that fall due (ring the doorbell) without giving up the connection.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// Called on the thread that waits for an answer.
pub trait WaitObserver: Send + Sync {
    /// The request is on its way; called at the start of the wait and each time the returned span is over.
    /// Returns how long to wait until the next call, `None` for as long as it takes.
    fn waiting(&self) -> Option<Duration>;
}

/// A link of a connector chain: wraps the transport when there is a watch.
pub(super) struct ObservedConnector(Option<Arc<dyn WaitObserver>>);

impl ObservedConnector {
    pub(super) fn new(watch: Option<Arc<dyn WaitObserver>>) -> ObservedConnector {
        ObservedConnector(watch)
    }

    /// Link behind the one that opens sockets: keeps reads so short that a shutdown ends them, where that is needed.
    pub(super) fn for_shutdown() -> ObservedConnector {
        ObservedConnector(cfg!(windows).then(|| Arc::new(ShortWaits) as Arc<dyn WaitObserver>))
    }
}

/// On Windows a shutdown does not end a read that has begun, only those after it fail. A live peer ends the connection then, and
/// with it the read; for a dead one no read lasts long.
struct ShortWaits;

impl WaitObserver for ShortWaits {
    fn waiting(&self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

impl fmt::Debug for ObservedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedConnector")
    }
}

impl<In: Transport> Connector<In> for ObservedConnector {
    type Out = Box<dyn Transport>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| match &self.0 {
            Some(watch) => Box::new(ObservedTransport { inner, watch: watch.clone() }) as Box<dyn Transport>,
            None => Box::new(inner),
        }))
    }
}

struct ObservedTransport<T> {
    inner: T,
    watch: Arc<dyn WaitObserver>,
}

impl<T: Transport> fmt::Debug for ObservedTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}

impl<T: Transport> Transport for ObservedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    /// Waits in slices that end when the watch has something to do. A slice that runs out has read nothing, so going
    /// on with the same connection is safe, for TLS too.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let start = Instant::now();
        let whole = timeout.for_read();
        loop {
            let slice = self.watch.waiting();
            let mut rest = whole;
            if !rest.after.is_not_happening() {
                rest.after = rest.after.saturating_sub(start.elapsed()).into();
            }
            let Some(slice) = slice.filter(|slice| *slice < *rest.after) else {
                return self.inner.await_input(rest);
            };
            // A zero timeout would mean "none" to the socket.
            let after = slice.max(Duration::from_millis(1)).into();
            match self.inner.await_input(NextTimeout { after, reason: Timeout::PerRead, ..NextTimeout::default() }) {
                Err(Error::Timeout(_)) => continue,
                other => return other,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
