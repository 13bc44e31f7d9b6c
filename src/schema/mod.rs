//! What the numbered SQL declares, and how it is taken apart for the load and put together again.
//!
//! In: the files of `sql/<dataset>/` and a session on the new build. Out: tables to load, and after the
//! load a catalog equal to the declared one. The order is: [`numbered::read_folder`], [`run::run`],
//! [`catalog::snapshot`], [`tables::tables`], [`set_aside::plan`], [`rehearse::rehearse`], take out,
//! load, put back, snapshot again and compare.
//!
//! The schema `overnight` inside a build is the stamp, not the user's: every query here leaves it out.

pub mod catalog;
pub mod declared;
pub mod files;
pub mod half_made;
pub mod header;
pub mod jobs;
pub mod late;
pub mod numbered;
pub mod put_back;
pub mod rehearse;
pub mod run;
pub mod schedule;
pub mod set_aside;
pub mod tables;
pub mod worker;

mod queue;
pub(crate) mod settings;
mod type_name;
mod words;
