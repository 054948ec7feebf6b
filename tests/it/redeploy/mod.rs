//! Rolling back an application of Coolify: what is decided, what is done, and what of it survives Coolify's
//! own answers.

mod killed;
mod lies;
mod openapi;
mod pure;
mod scene;
mod way;
