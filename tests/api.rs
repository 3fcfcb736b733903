//! The API as a caller meets it: the real server on a free port of the loopback, and clients of the generated code.

mod certificates;
mod long_form;

mod api {
    mod acceptances;
    mod backups;
    mod batches;
    mod catalog;
    mod customers;
    mod demo;
    mod experiments;
    mod explanations;
    mod faults;
    mod feedback;
    mod harness;
    mod limits;
    mod models;
    mod offers;
    mod offers_bad;
    mod policies;
    mod prepared;
    mod privacy;
    mod relationships;
    mod retries;
    mod security;
    mod server;
    mod shop;
    mod terms;
    mod tools;
    mod upgrades;
}
