//! The C host that tries every function of the library.

/// Its files in `tests/c`, but for the one that asks the operating system.
pub const C_HOST: [&str; 11] = [
    "host.c",
    "configuration.c",
    "handles.c",
    "delivery.c",
    "recovery.c",
    "waiting.c",
    "handler.c",
    "log.c",
    "tokens.c",
    "portal.c",
    "threads.c",
];
