//! One file for each command.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod dead_letters;
pub(crate) mod devices;
pub(crate) mod erase;
pub(crate) mod export;
pub(crate) mod freeze;
pub(crate) mod fsck;
pub(crate) mod gaps;
pub(crate) mod keys;
pub(crate) mod refusals;
pub(crate) mod restore;
pub(crate) mod retain;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod verify;
