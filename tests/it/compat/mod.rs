//! Whether services can go on: the comparison with the live build, and who supports which version.

mod consumers;
mod gate;
mod kinds;
