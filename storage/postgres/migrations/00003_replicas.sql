-- Who has the store, and who failed to log in.

-- +goose Up

create table replicas (
  owner text collate "C" primary key,
  seen_at timestamptz not null,
  body bytea not null
) with (fillfactor = 50);

create table login_failures (
  who text collate "C" primary key,
  count integer not null default 0,
  last_at timestamptz not null
) with (fillfactor = 70);
create index login_failures_at on login_failures (last_at);
