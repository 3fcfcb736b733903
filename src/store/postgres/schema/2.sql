-- Several processes share the store.

-- A number for each kind of what is published. It changes with every change of what it stands for, in the same transaction.
CREATE TABLE published (
    kind text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO published (kind, number) SELECT 'policy', count(*) FROM activation;
INSERT INTO published (kind, number) VALUES ('catalog', 0), ('offers', 0), ('model', 0), ('acceptances', 0);

-- Leases on work that one process is to do. The time is that of the database.
CREATE TABLE job (
    name text COLLATE "C" PRIMARY KEY,
    holder uuid NOT NULL,
    until timestamptz NOT NULL
);

-- Processes that use the store: when each was last seen, and the oldest policy that it still uses.
CREATE TABLE replica (
    id uuid PRIMARY KEY,
    seen timestamptz NOT NULL,
    oldest_policy bigint NOT NULL
) WITH (fillfactor = 50);
