//! A stand-in for Coolify: a real server that answers by the official description, and tells the lies that
//! Coolify is known for, version by version ([`lies::LIES`]).

pub mod lies;

mod api;
mod fault;
mod server;
mod world;

pub use fault::{Behaviour, Fault};
pub use server::{Order, Server};
pub use world::{Application, Deployment, World};
