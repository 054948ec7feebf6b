//! What the tests put between ripcord and its world, and into it: [`fault`] ends the process in the middle of a
//! call, on [`ripcord::runner::Seams`]; [`coolify`] is a Coolify to talk to. Nothing of it is in the program itself.

pub mod coolify;
pub mod fault;
