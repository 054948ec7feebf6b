//! What the tests put between ripcord and its world: [`fault`] ends the process in the middle of a
//! call. It stands on [`ripcord::runner::Seams`], and nothing of it is in the program itself.

pub mod fault;
