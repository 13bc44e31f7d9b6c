//! Sessions, connection strings, TLS, errors and the embedded server.
//!
//! Most share the server of all tests; what needs a network, certificates or a life of its own
//! starts a private one.

mod connect;
mod embedded;
mod errors;
mod private;
mod tls;
mod url;
