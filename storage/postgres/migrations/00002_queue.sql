-- +goose Up

-- Whom the readers of incidents are, what they were told and are owed.
create table subscriptions (
    incident  bigint not null,
    recipient text collate "C" not null,
    due_at    timestamptz, -- null: nothing is due
    urgency   smallint not null,
    body      bytea not null,
    primary key (incident, recipient)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index subscriptions_due on subscriptions (due_at, incident, recipient) where due_at is not null;
create index subscriptions_of on subscriptions (recipient, due_at, incident) include (urgency) where due_at is not null;

-- When somebody can be leased. Who changes what is due to a recipient locks its row, and then
-- finds out in a statement of its own since when something is.
create table queue (
    recipient   text collate "C" primary key,
    due_at      timestamptz, -- since when something is due that is not held back
    until       timestamptz, -- of the lease
    retry_at    timestamptz,
    released_at timestamptz, -- the wait until retry_at began then
    yields      smallint not null default 0,
    next_at     timestamptz generated always as (case when due_at is not null then greatest(due_at, until, retry_at) end) stored
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index queue_next on queue (next_at, recipient) where next_at is not null;

-- The leases. Apart from the queue, as whoever holds one locks incidents, and whoever has
-- locked incidents moves recipients in the queue.
create table claims (
    recipient     text collate "C" primary key,
    attempt       bigint not null default 0,
    owner         text collate "C",
    until         timestamptz,
    failures      integer not null default 0,
    failing_since timestamptz,
    last_error    bytea,
    sent          timestamptz[],
    openings      bytea
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create sequence delivery_arrivals;
create table deliveries (
    arrival    bigint primary key,
    id         text collate "C" not null unique,
    state      smallint not null,
    recipient  text collate "C" not null,
    pulse      text collate "C", -- of one about the watchdog
    due_at     timestamptz not null,
    created_at timestamptz not null,
    retry_at   timestamptz,
    refused_at timestamptz,
    audience   text collate "C" not null, -- the name of the group
    address    text collate "C" not null,
    kind       text collate "C" not null,
    channel    text collate "C" not null,
    body       bytea not null -- without covers
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index deliveries_state on deliveries (state, arrival);
create index deliveries_pending on deliveries (recipient, created_at, arrival) where state = 1;
create index deliveries_due on deliveries (due_at, arrival);
create index deliveries_group on deliveries (audience, due_at, arrival);
create index deliveries_address on deliveries (address, due_at, arrival);

create table delivery_incidents (
    arrival  bigint not null,
    place    integer not null, -- of the cover; -1 if the delivery is about an incident that none of its covers is about
    incident bigint, -- null if another place names it, and of one about the watchdog
    body     bytea, -- the cover
    primary key (arrival, place)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index delivery_incidents_of on delivery_incidents (incident, arrival) where incident is not null;

create table messages (
    arrival bigint primary key,
    body    bytea not null
);

create table pulses (
    key  text collate "C" primary key,
    body bytea -- null: locked only
);
create table notices (
    pulse     text collate "C" not null,
    recipient text collate "C" not null,
    due_at    timestamptz,
    body      bytea not null,
    primary key (pulse, recipient)
);
create index notices_due on notices (due_at) where due_at is not null;
create index notices_of on notices (recipient, due_at, pulse) where due_at is not null;

create table refusals (
    number bigint generated always as identity primary key,
    at     timestamptz not null,
    body   bytea not null
);
create table ambiguities (
    number bigint generated always as identity primary key,
    at     timestamptz not null,
    body   bytea not null
);
create table outages (
    at   timestamptz primary key,
    body bytea not null
);
create table answers (
    key  text collate "C" primary key,
    at   timestamptz not null default '-infinity',
    body bytea -- null: locked only
);
create index answers_at on answers (at);

create table marks (
    name   text collate "C" primary key,
    at     timestamptz,
    number bigint
);

create table jobs (
    name     text collate "C" primary key,
    owner    text collate "C",
    until    timestamptz,
    done_at  timestamptz,
    done_for bytea
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

create table expired (
    what     smallint not null,
    since    timestamptz not null,
    number   bigint not null,
    event    bigint not null default 0,
    delivery text collate "C" not null default '',
    again    boolean not null default false,
    primary key (what, since, number)
);

-- Moves recipients, who are in order, to their places in the queue: what became of their leases (0
-- nothing, 1 held until then, 2 released), and the most urgent that became due. Each statement
-- sees what was committed before it: whoever has a row locked sees all that is due.
-- +goose StatementBegin
create function move_in_queue(ids text[], leases smallint[], holds timestamptz[], retries timestamptz[], releases timestamptz[], gives_way smallint[], hurries smallint[])
returns void language plpgsql as $$
#variable_conflict use_column
begin
    -- Locks, and makes those that are missing.
    insert into queue (recipient) select r from unnest(ids) r order by r collate "C"
        on conflict (recipient) do update set recipient = excluded.recipient where false;
    -- No insert with a conflict: it would wait for who extends a lease and then wants the queue.
    insert into claims (recipient) select r from unnest(ids) r
        where not exists (select from claims c where c.recipient = r) order by r collate "C";
    update queue q set
        until = case when m.lease = 0 then q.until else m.until end,
        released_at = case when m.lease = 2 then m.released else q.released_at end,
        retry_at = case
            when m.hurry < case when m.lease = 2 then m.yields else q.yields end then null
            when m.lease = 2 then m.retry else q.retry_at end,
        yields = case
            when m.hurry < case when m.lease = 2 then m.yields else q.yields end then 0
            when m.lease = 2 then m.yields else q.yields end,
        due_at = least(
            (select min(greatest(d.created_at, d.retry_at)) from deliveries d where d.recipient = q.recipient and d.state = 1),
            -- what is not held back, in order; then what is, if it is sooner all the same
            (select s.due_at from subscriptions s where s.recipient = q.recipient and s.due_at is not null
                and s.incident <> all (array(select x.incident from deliveries d join delivery_incidents x using (arrival)
                    where d.recipient = q.recipient and d.state = 1 and d.retry_at is not null and x.incident is not null))
                order by s.due_at limit 1),
            (select min(h.at) from (
                select greatest(s.due_at, max(d.retry_at)) as at from deliveries d join delivery_incidents x using (arrival)
                join subscriptions s on s.incident = x.incident and s.recipient = d.recipient
                where d.recipient = q.recipient and d.state = 1 and d.retry_at is not null and s.due_at is not null
                group by s.incident, s.due_at) h),
            (select min(greatest(n.due_at, (select max(d.retry_at) from deliveries d where d.recipient = q.recipient and d.state = 1 and d.pulse = n.pulse)))
                from notices n where n.recipient = q.recipient and n.due_at is not null))
    from unnest(ids, leases, holds, retries, releases, gives_way, hurries) m(recipient, lease, until, retry, released, yields, hurry)
    where q.recipient = m.recipient;
end $$;
-- +goose StatementEnd

-- +goose Down

drop function move_in_queue;
drop sequence delivery_arrivals;
drop table subscriptions, queue, claims, deliveries, delivery_incidents, messages, pulses, notices, refusals, ambiguities, outages, answers, marks, jobs, expired;
