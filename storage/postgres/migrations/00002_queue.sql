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
    openings      bytea,
    settling      bytea, -- what is left to be settled of a delivery that was handed over
    settles_since timestamptz
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
-- nothing, 1 held until then, 2 released), and the most urgent that became due. A wait does not begin
-- while something more urgent is due that whoever releases did not have. Each statement
-- sees what was committed before it: whoever has a row locked sees all that is due. This and what
-- follows are functions as a plan is kept of them, and to make one costs more than to follow it.
-- +goose StatementBegin
create function move_in_queue(ids text[], leases smallint[], holds timestamptz[], retries timestamptz[], releases timestamptz[], gives_way smallint[], hurries smallint[], had bigint[])
returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    came text[];
begin
    -- Locks, and makes those that are missing.
    insert into queue (recipient) select r from unnest(ids) r order by r collate "C"
        on conflict (recipient) do update set recipient = excluded.recipient where false;
    -- No insert with a conflict: it would wait for who extends a lease and then wants the queue.
    insert into claims (recipient) select r from unnest(ids) r
        where not exists (select from claims c where c.recipient = r) order by r collate "C";
    came := array(select m.recipient from unnest(ids, leases, retries, releases, gives_way) m(recipient, lease, retry, released, yields)
        where m.lease = 2 and m.yields > 0 and m.retry is not null
            and exists (select from subscriptions s where s.recipient = m.recipient and s.due_at <= m.released
                and s.urgency < m.yields and s.incident <> all (had)));
    update queue q set
        until = case when m.lease = 0 then q.until else m.until end,
        released_at = case when m.lease = 2 then m.released else q.released_at end,
        retry_at = case
            when m.hurry < case when m.lease = 2 then m.yields else q.yields end or m.recipient = any (came) then null
            when m.lease = 2 then m.retry else q.retry_at end,
        yields = case
            when m.hurry < case when m.lease = 2 then m.yields else q.yields end or m.recipient = any (came) then 0
            when m.lease = 2 then m.yields else q.yields end,
        due_at = least(
            (select c.settles_since from claims c where c.recipient = q.recipient),
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

-- Leases recipients who can be leased, for a term that the clock of the database counts: the clock of
-- who asks says what is due, and nothing of leases. It locks their claims, but for those that are locked.
-- One that was taken or given back since it began is left out: what it sees of the queue is from before.
-- +goose StatementBegin
create function take_leases(ids text[], at timestamptz, term interval, who text)
returns table (recipient text, attempt bigint, until timestamptz, failures integer, failing_since timestamptz, last_error bytea, sent timestamptz[], openings bytea, settling bytea)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    clock timestamptz := clock_timestamp();
begin
    return query with free as materialized (
        select recipient, attempt, owner from claims where recipient = any (ids) and (until is null or until <= clock)
            order by recipient for update skip locked
    )
    update claims c set attempt = c.attempt + 1, owner = who, until = clock + term
        from free
        join claims seen on seen.recipient = free.recipient and seen.attempt = free.attempt and seen.owner is not distinct from free.owner
        join queue q on q.recipient = free.recipient and q.due_at <= at and (q.retry_at is null or q.retry_at <= at)
        where c.recipient = free.recipient
        returning c.recipient, c.attempt, c.until, c.failures, c.failing_since, c.last_error, c.sent, c.openings, c.settling;
end $$;
-- +goose StatementEnd

-- What is due to recipients and not held back: up to so many subscriptions (1), the most urgent, and
-- so many notices (2) of each, the longest first, and all pending deliveries (3).
-- +goose StatementBegin
create function due_to(ids text[], at timestamptz, most integer)
returns table (what smallint, recipient text, arrival bigint, body bytea)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query select 1::smallint, q.recipient, null::bigint, s.body from unnest(ids) q(recipient)
        cross join lateral (
            select s.due_at, s.incident, s.body from subscriptions s
            where s.recipient = q.recipient and s.due_at <= at
                and s.incident <> all (array(select x.incident from deliveries d join delivery_incidents x using (arrival)
                    where d.recipient = q.recipient and d.state = 1 and d.retry_at > at and x.incident is not null))
            order by s.urgency, s.due_at, s.incident limit most
        ) s order by q.recipient, s.due_at, s.incident;
    return query select 2::smallint, q.recipient, null::bigint, n.body from unnest(ids) q(recipient)
        cross join lateral (
            select n.due_at, n.pulse, n.body from notices n
            where n.recipient = q.recipient and n.due_at <= at
                and n.pulse <> all (array(select d.pulse from deliveries d
                    where d.recipient = q.recipient and d.state = 1 and d.retry_at > at and d.pulse is not null))
            order by n.due_at, n.pulse limit most
        ) n order by q.recipient, n.due_at, n.pulse;
    return query select 3::smallint, d.recipient, d.arrival, null::bytea from deliveries d
        where d.recipient = any (ids) and d.state = 1 and (d.retry_at is null or d.retry_at <= at)
        order by d.recipient, d.created_at, d.arrival;
end $$;
-- +goose StatementEnd

-- What has to be known of deliveries that are stored anew, with an outcome also how many records each
-- has and its message. Of new ones that is the arrival that they get, in that order.
-- +goose StatementBegin
create function stored_deliveries(ids text[], outcomes boolean[])
returns table (id text, arrival bigint, state smallint, recipient text, highest integer, apart boolean, records bigint, message bytea)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query select d.id, d.arrival, d.state, d.recipient,
        (select max(x.place) from delivery_incidents x where x.arrival = d.arrival),
        exists (select from delivery_incidents x where x.arrival = d.arrival and x.place = -1),
        case when u.outcome then (select coalesce(max(r.b), 0) from records r where r.kind = 3 and r.a = d.arrival) else 0 end,
        case when u.outcome then (select m.body from messages m where m.arrival = d.arrival) end
        from (select u.id, u.outcome from unnest(ids, outcomes) u(id, outcome) order by u.id collate "C") u
        cross join lateral (select d.id, d.arrival, d.state, d.recipient from deliveries d where d.id = u.id limit 1 for update) d;
    return query select u.id, nextval('delivery_arrivals'), 0::smallint, ''::text, -1, false, 0::bigint, null::bytea
        from (select u.id from unnest(ids) with ordinality u(id, place)
            where not exists (select from deliveries d where d.id = u.id) order by u.place) u;
end $$;
-- +goose StatementEnd

-- Stores deliveries, each once, with their covers and messages. Covers that are there as they are stay
-- untouched; of those named as having fewer, those that are no longer there go.
-- +goose StatementBegin
create function put_deliveries(arrivals bigint[], ids text[], states smallint[], recipients text[], pulses text[], dues timestamptz[], created timestamptz[], retries timestamptz[], refused timestamptz[],
    audiences text[], addresses text[], kinds text[], channels text[], heads bytea[], fewer bigint[], covering bigint[], places integer[], incidents bigint[], covers bytea[], made bigint[], messages bytea[])
returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    insert into deliveries (arrival, id, state, recipient, pulse, due_at, created_at, retry_at, refused_at, audience, address, kind, channel, body)
        select * from unnest(arrivals, ids, states, recipients, pulses, dues, created, retries, refused, audiences, addresses, kinds, channels, heads)
        on conflict (arrival) do update set state = excluded.state, recipient = excluded.recipient, pulse = excluded.pulse,
            due_at = excluded.due_at, created_at = excluded.created_at, retry_at = excluded.retry_at, refused_at = excluded.refused_at,
            audience = excluded.audience, address = excluded.address, kind = excluded.kind, channel = excluded.channel, body = excluded.body;
    if cardinality(fewer) > 0 then
        delete from delivery_incidents x where x.arrival = any (fewer)
            and not exists (select from unnest(covering, places) p(arrival, place) where p.arrival = x.arrival and p.place = x.place);
    end if;
    insert into delivery_incidents as x (arrival, place, incident, body)
        select * from unnest(covering, places, incidents, covers)
        on conflict (arrival, place) do update set incident = excluded.incident, body = excluded.body
            where x.incident is distinct from excluded.incident or x.body is distinct from excluded.body;
    if cardinality(made) > 0 then
        insert into messages (arrival, body) select * from unnest(made, messages) on conflict (arrival) do update set body = excluded.body;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down

drop function put_deliveries, stored_deliveries, move_in_queue, take_leases, due_to;
drop sequence delivery_arrivals;
drop table subscriptions, queue, claims, deliveries, delivery_incidents, messages, pulses, notices, refusals, ambiguities, outages, answers, marks, jobs, expired;
