-- Incidents, breaches, the log and the configurations. Times that are not set are null; bodies
-- are JSON, as bytes; texts over 1 KiB by which something is found are stored as their hash.

-- +goose Up

-- From which version on a sitrep can use this schema. A migration that takes away what older
-- ones need raises it.
create table form (
  one boolean primary key default true check (one),
  oldest integer not null
);
insert into form (oldest) values (1);

-- The keys of SLOs: who opens an incident of one holds its row.
create table keys (
  key text collate "C" primary key,
  latest bigint not null default 0 -- incident that is no drill
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create table incidents (
  number bigint primary key,
  state smallint not null, -- 1 open, 2 resolved, 3 closed
  priority text collate "C" not null,
  team text collate "C" not null,
  slo text collate "C" not null,
  drill boolean not null,
  merged_into bigint not null, -- 0: none
  text text collate "C" not null, -- what it is searched by
  body bytea not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index incidents_state on incidents (state, priority, number);
create index incidents_team on incidents (team, state, priority, number);
create index incidents_slo on incidents (slo, state, priority, number) where slo <> '';

-- How many incidents there are of a kind: the sum of what was added and taken away. Folded from
-- time to time.
create table incident_counts (
  state smallint not null,
  priority text collate "C" not null,
  team text collate "C" not null,
  drill boolean not null,
  n bigint not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- The number of the latest incident. It has no gaps, so its row is held until the commit.
create table numbers (
  one boolean primary key default true check (one),
  last bigint not null
) with (fillfactor = 10, autovacuum_vacuum_cost_delay = 0);
insert into numbers (last) values (0);

-- What people wrote in events, for the search.
create table event_texts (
  incident bigint not null,
  sequence bigint not null,
  text text collate "C" not null,
  primary key (incident, sequence)
);

create table agendas (
  number bigint primary key,
  next_at timestamptz,
  body bytea not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index agendas_due on agendas (next_at, number) where next_at is not null;

create sequence breach_arrivals;
create table breaches (
  incident bigint not null, -- 0: none
  arrival bigint not null default nextval('breach_arrivals'), -- at the incident
  ordinal bigint not null,
  quiet_since timestamptz, -- set while it fires or is unknown
  ask_at timestamptz,
  old boolean not null default false, -- a later one was deleted, so it is not found by its fingerprint any more
  fingerprint text collate "C" not null,
  body bytea not null,
  primary key (incident, arrival)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create unique index breaches_latest on breaches (fingerprint, ordinal) where not old;
create index breaches_silent on breaches (quiet_since, incident, arrival) where quiet_since is not null;
create index breaches_to_ask on breaches (ask_at, incident, arrival) where ask_at is not null;

create table unmapped (
  fingerprint text collate "C" primary key,
  body bytea not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- What is a leaf of the log: of kind 1 the event b of incident a, of kind 2 the loading b, of
-- kind 3 the outcome b of the delivery that arrived as a.
create table records (
  kind smallint not null,
  a bigint not null,
  b bigint not null,
  chunk bigint not null,
  pos integer not null, -- in the chunk
  leaf bytea not null,
  salt bytea,
  personal bytea, -- JSON
  primary key (kind, a, b)
);
create unique index records_chunk on records (chunk, pos);

-- The leaves of one write each. A chunk has no place in the log until it is given one, after the
-- commit: then its leaves have the indexes from first on.
create sequence chunk_ids;
create table chunks (
  id bigint primary key default nextval('chunk_ids'),
  n integer not null,
  hashes bytea, -- of the leaves, until it has its place
  first bigint,
  stored bytea  -- the hashes that the log stores with its leaves, once it has its place
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
alter table chunks alter column hashes set storage external, alter column stored set storage external;
create unique index chunks_first on chunks (first);
create index chunks_waiting on chunks (id) where first is null;

-- How many leaves have their place. Who gives places holds the row.
create table ledger (
  one boolean primary key default true check (one),
  size bigint not null
) with (fillfactor = 10, autovacuum_vacuum_cost_delay = 0);
insert into ledger (size) values (0);

-- Signed heads of the log, to which is only added: of two of one size the later counts.
create table checkpoints (
  size bigint not null,
  n bigint not null,
  signed bytea not null,
  primary key (size, n)
);

create table configs (
  hash text collate "C" primary key,
  body bytea not null
);

-- Each configuration that came into force.
create table loadings (
  number bigint primary key,
  at timestamptz,
  hash text collate "C" not null
);
