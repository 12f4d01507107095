-- +goose Up

-- How far the copy of another store is, while it is not whole; JSON. No sitrep serves on it then.
create table unfinished_copy (
  one boolean primary key default true check (one),
  state bytea not null
);

-- +goose Down

drop table unfinished_copy;
