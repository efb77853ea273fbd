//! A transport layer that reports when a request has been sent and while its answer is awaited.
//!
//! Long polling needs both: a subscription is up as soon as its request has been sent, and the waiting thread has to
//! ring the doorbell now and then without giving up the connection.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// Called on the thread that waits for an answer.
pub trait WaitObserver: Send + Sync {
    /// Called when the request has been sent and the wait begins, and again each time the returned duration has
    /// elapsed. Returns when to call again; `None`: not again.
    fn on_wait(&self) -> Option<Duration>;
}

/// Wraps the transports that the connector before it makes, if there is an observer.
pub(super) struct ObservedConnector(Option<Arc<dyn WaitObserver>>);

impl ObservedConnector {
    pub(super) fn new(observer: Option<Arc<dyn WaitObserver>>) -> ObservedConnector {
        ObservedConnector(observer)
    }

    /// Goes directly behind the connector that opens sockets. Where a shutdown does not interrupt a read, it keeps
    /// reads short.
    pub(super) fn for_shutdown() -> ObservedConnector {
        ObservedConnector(cfg!(windows).then(|| Arc::new(ShortWaits) as Arc<dyn WaitObserver>))
    }
}

/// On Windows a shutdown does not interrupt a read that has begun; only later reads fail. A live peer then closes the
/// connection, which ends the read. If the peer is dead, the end of the slice does.
struct ShortWaits;

impl WaitObserver for ShortWaits {
    fn on_wait(&self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

impl fmt::Debug for ObservedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObservedConnector")
    }
}

impl<In: Transport> Connector<In> for ObservedConnector {
    type Out = Box<dyn Transport>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| match &self.0 {
            Some(observer) => Box::new(ObservedTransport { inner, observer: observer.clone() }) as Box<dyn Transport>,
            None => Box::new(inner),
        }))
    }
}

struct ObservedTransport<T> {
    inner: T,
    observer: Arc<dyn WaitObserver>,
}

impl<T: Transport> fmt::Debug for ObservedTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObservedTransport").field(&self.inner).finish()
    }
}

impl<T: Transport> Transport for ObservedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    /// Waits in slices, so that the observer is called in between. A slice that times out has read nothing, so it is
    /// safe to keep using the connection, over TLS too.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let start = Instant::now();
        let total = timeout.for_read();
        loop {
            let slice = self.observer.on_wait();
            let mut rest = total;
            if !rest.after.is_not_happening() {
                rest.after = rest.after.saturating_sub(start.elapsed()).into();
            }
            let Some(slice) = slice.filter(|slice| *slice < *rest.after) else {
                return self.inner.await_input(rest);
            };
            // To the socket, zero means no timeout at all.
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
