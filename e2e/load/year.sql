-- Makes a year of incidents of those that were lived through, whose numbers begin with {first}: each is
-- one of these with another number, of another team, on other days. Leaves of the ledger get
-- the hashes that belong to them here, and their places from sitrep itself.

-- = settings
set synchronous_commit = off;
set work_mem = '64MB';
set enable_hashjoin = off; -- rows are to lie in the order of the incidents, as they do in life
set enable_mergejoin = off;

-- = what was lived through
create unlogged table lived_deliveries as
  select incident as lived, row_number() over (partition by incident order by arrival) - 1 as nth, arrival from delivery_incidents where incident >= {first};
create unlogged table lived_records as
  select lived, kind, nth, b, dense_rank() over (partition by lived order by chunk) - 1 as chunk,
    row_number() over (partition by lived, chunk order by pos) - 1 as pos, leaf, salt, personal,
    message, hashes, people
  from (
    select coalesce(d.lived, r.a) as lived, r.kind, d.nth, r.b, r.chunk, r.pos, convert_from(r.leaf, 'LATIN1') as leaf, r.salt, r.personal,
      encode(sha256(m.body), 'hex') as message, p.hashes, p.people
    from records r
    left join lived_deliveries d on r.kind = 3 and d.arrival = r.a
    left join messages m on r.kind = 3 and m.arrival = r.a
    cross join lateral (
      select array_agg(encode(sha256(r.salt || convert_to(value, 'UTF8')), 'hex')) as hashes, array_agg(value) as people
      from jsonb_each_text(convert_from(r.personal, 'UTF8')::jsonb) where value ~ 'unit00000|zone000'
    ) p
    where r.kind <> 2
  ) r;
create index on lived_deliveries (lived);
create index on lived_records (lived);
analyze lived_deliveries, lived_records;

-- = the incidents of the year
create unlogged table year (
  n bigint primary key, lived bigint not null, unit text not null, zone text not null, mark text not null, shift interval not null, days text[] not null,
  deliveries_from bigint, chunks_from bigint
);
insert into year
  select y.n, lived, 'unit' || lpad(team::text, 5, '0'), 'zone' || lpad((team / {zone})::text, 3, '0'), lpad(to_hex(y.n), 8, '0'), shift * interval '1 day',
    array(select (d::date + shift)::text || 'T' from unnest(array[{days}]) with ordinality u(d, i) order by i),
    sum(d.n) over (order by y.n rows unbounded preceding) - d.n, sum(d.chunks) over (order by y.n rows unbounded preceding) - d.chunks
  from (
    select n, {first} + (n - 1) % {lived} as lived, (n - 1) / {lived} * 7919 % {teams} as team,
      current_date - {yearEnds} - {yearDays} + ((n - 1) * {yearDays} / {incidents})::int - date '{day}' as shift
    from generate_series(1::bigint, {incidents}) n
  ) y
  join (select l.lived, (select count(*) from lived_deliveries d where d.lived = l.lived) as n, max(l.chunk) + 1 as chunks from lived_records l group by l.lived) d using (lived)
  order by y.n;
update year set deliveries_from = deliveries_from + (select last_value from delivery_arrivals) + 1, chunks_from = chunks_from + (select last_value from chunk_ids) + 1;
analyze year;

-- = how what is said of one is said of another
create function refit(text, c year) returns text language sql immutable as $$
  select replace(replace(replace(replace({refitDays}, c.lived::text, c.n::text), 'unit00000', c.unit), 'zone000', c.zone), 'f00d' || lpad((c.lived - {first})::text, 4, '0'), c.mark)
$$;
create function refit(bytea, c year) returns bytea language sql immutable as $$ select convert_to(refit(convert_from($1, 'LATIN1'), c), 'LATIN1') $$;
-- Names and addresses stand in a leaf as hashes.
create function rehash(leaf text, salt bytea, hashes text[], people text[], c year) returns text language plpgsql immutable as $$
begin
  for i in 1 .. coalesce(cardinality(hashes), 0) loop
    leaf := replace(leaf, hashes[i], encode(sha256(salt || convert_to(refit(people[i], c), 'UTF8')), 'hex'));
  end loop;
  return leaf;
end $$;

-- = incidents
insert into incidents (number, state, priority, team, slo, drill, merged_into, text, body)
  select c.n, i.state, i.priority, refit(i.team, c), refit(i.slo, c), i.drill, i.merged_into, refit(i.text, c), refit(i.body, c)
  from year c join incidents i on i.number = c.lived order by c.n;
insert into incident_counts (state, priority, team, drill, n)
  select state, priority, team, drill, count(*) from incidents where number < {first} group by 1, 2, 3, 4;
insert into keys (key, latest) select slo, max(number) from incidents where number < {first} group by slo on conflict do nothing;
insert into agendas (number, next_at, body) select c.n, a.next_at + c.shift, refit(a.body, c) from year c join agendas a on a.number = c.lived order by c.n;
insert into event_texts (incident, sequence, text) select c.n, t.sequence, t.text from year c join event_texts t on t.incident = c.lived order by c.n, t.sequence;
insert into expired (what, since, number, event, delivery, again)
  select e.what, e.since + c.shift, c.n, e.event, e.delivery, e.again from year c join expired e on e.number = c.lived order by c.n;

-- = breaches
insert into breaches (fingerprint, ordinal, incident, quiet_since, ask_at, old, body)
  select refit(b.fingerprint, c), b.ordinal, c.n, b.quiet_since + c.shift, b.ask_at + c.shift, b.old, refit(b.body, c)
  from year c join breaches b on b.incident = c.lived order by c.n, b.arrival;

-- = readers
insert into subscriptions (incident, recipient, due_at, urgency, body)
  select c.n, refit(s.recipient, c), s.due_at + c.shift, s.urgency, refit(s.body, c) from year c join subscriptions s on s.incident = c.lived order by c.n;
insert into queue (recipient, released_at) select recipient, now() - interval '{yearEnds} days' from (select distinct recipient from subscriptions) s on conflict do nothing;
insert into claims (recipient, attempt, sent) select recipient, 1, array[now() - interval '{yearEnds} days'] from (select distinct recipient from subscriptions) s on conflict do nothing;

-- = messages
insert into messages (arrival, body)
  select c.deliveries_from + d.nth, convert_to(replace(replace(convert_from(m.body, 'LATIN1'), c.lived::text, c.n::text), 'unit00000', c.unit), 'LATIN1') from year c join lived_deliveries d on d.lived = c.lived join messages m on m.arrival = d.arrival;

-- = deliveries
insert into deliveries (arrival, id, state, recipient, pulse, due_at, created_at, retry_at, refused_at, audience, address, kind, channel, body)
  select c.deliveries_from + l.nth, refit(d.id, c), d.state, refit(d.recipient, c), d.pulse, d.due_at + c.shift, d.created_at + c.shift, d.retry_at + c.shift, d.refused_at + c.shift,
    refit(d.audience, c), refit(d.address, c), d.kind, d.channel, refit(d.body, c)
  from year c join lived_deliveries l on l.lived = c.lived join deliveries d on d.arrival = l.arrival;
insert into delivery_incidents (arrival, place, incident, body)
  select c.deliveries_from + l.nth, x.place, c.n, refit(x.body, c) from year c join lived_deliveries l on l.lived = c.lived join delivery_incidents x on x.arrival = l.arrival;
select setval('delivery_arrivals', (select max(arrival) from deliveries));

-- = records
insert into records (kind, a, b, chunk, pos, leaf, salt, personal)
  select l.kind, case when l.kind = 3 then c.deliveries_from + l.nth else c.n end, l.b, c.chunks_from + l.chunk, l.pos,
    convert_to(
      case when l.message is null then rehash(refit(l.leaf, c), l.salt, l.hashes, l.people, c)
        else replace(rehash(refit(l.leaf, c), l.salt, l.hashes, l.people, c), l.message,
          (select encode(sha256(m.body), 'hex') from messages m where m.arrival = c.deliveries_from + l.nth))
      end, 'LATIN1'),
    l.salt, case when l.hashes is null then l.personal else refit(l.personal, c) end
  from year c join lived_records l on l.lived = c.lived;
insert into chunks (id, n, hashes)
  select chunk, count(*), string_agg(sha256((case kind {leaves} end)::bytea || leaf), ''::bytea order by pos) from records
  where chunk >= (select min(chunks_from) from year) group by chunk order by chunk;
select setval('chunk_ids', (select max(id) from chunks));

-- = the end
drop function rehash, refit(bytea, year), refit(text, year);
drop table year, lived_records, lived_deliveries;

-- = vacuum
vacuum analyze;
