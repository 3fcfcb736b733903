//! Hostile callers against the real binary: attacks, overload, and bytes that mean nothing.
//!
//! The long form, `TACTFUL_LONG=1`, takes some minutes.

mod certificates;
mod long_form;
mod running_server;

mod threats {
    mod attacks;
    mod caller;
    mod frames;
    mod malformed;
    mod memory;
    mod not_an_attack;
    mod overload;
    mod random;
    mod table;
}
