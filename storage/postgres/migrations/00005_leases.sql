-- +goose Up

-- Leases recipients who can be leased, for a term that the clock of the database counts: the clock of
-- who asks says what is due, and nothing of leases. It locks their claims, but for those that are locked.
-- One that was taken or given back since it began is left out: what it sees of the queue is from before.
-- It takes the place of take_leases, which a sitrep from before it calls.
-- +goose StatementBegin
create function take_leases_for(ids text[], at timestamptz, term interval, who text)
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

-- +goose Down

drop function take_leases_for;
