CREATE FUNCTION public.claim_key(text, text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
select upper(regexp_replace($1, '[^A-Za-z0-9]', '', 'g') collate "C") || coalesce('@' || $2, '')
$_$;

CREATE PROCEDURE public.draw_coins(IN allotment uuid, IN issued bigint, IN returned bigint)
    LANGUAGE plpgsql
    AS $$
begin
    update issuer_allotment
       set drawn = drawn + issued - returned, coins = coins - returned
     where allotment_id = allotment;
    if not found then
        raise check_violation using message = 'there is no such allotment',
                                    constraint = 'issuer_allotment_drawn';
    end if;
end $$;

CREATE FUNCTION public.free_units(integer, integer, integer) RETURNS SETOF integer
    LANGUAGE sql STABLE
    AS $_$
select g.unit
  from (select t.before + 1 as low, t.unit - 1 as high
          from (select u.unit, lag(u.unit, 1, $2 - 1) over (order by u.unit) as before
                  from item_unit u
                 where u.item_id = $1 and u.unit between $2 and $3) t
         where t.unit > t.before + 1
         union all
        select coalesce(max(u.unit), $2 - 1) + 1, $3
          from item_unit u
         where u.item_id = $1 and u.unit between $2 and $3) gap
 cross join lateral generate_series(gap.low, gap.high) as g (unit)
$_$;

CREATE SEQUENCE public.invoice_arrival
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.invoice (
    store_id integer NOT NULL,
    invoice_key text NOT NULL COLLATE pg_catalog."C",
    invoice_number text NOT NULL,
    till text,
    amount bigint NOT NULL,
    currency text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    voided_at timestamp with time zone,
    arrival bigint DEFAULT nextval('public.invoice_arrival'::regclass) NOT NULL
);

CREATE FUNCTION public.invoice_notice(public.invoice) RETURNS json
    LANGUAGE sql STABLE
    AS $_$
select json_build_object(
    'store_id', $1.store_id, 'invoice_key', $1.invoice_key, 'invoice_number', $1.invoice_number,
    'till', $1.till, 'amount', $1.amount, 'currency', $1.currency, 'arrival', $1.arrival,
    'issued_at', (extract(epoch from $1.issued_at) * 1000000)::bigint,
    'received_at', (extract(epoch from $1.received_at) * 1000000)::bigint,
    'voided_at', (extract(epoch from $1.voided_at) * 1000000)::bigint)
$_$;

CREATE FUNCTION public.local_day(timestamp with time zone, text) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
select (($1 at time zone 'UTC')
        + case $2 when 'SV' then interval '-6 hours' when 'GT' then interval '-6 hours'
                  else interval '-5 hours' end)::date
$_$;

CREATE FUNCTION public.open_units(integer, integer, integer) RETURNS SETOF integer
    LANGUAGE sql STABLE
    AS $_$
select f.unit
  from (select case when above.units = 0 then 1
                    else coalesce((select f.unit from free_units($1, 1, $2) as f (unit)
                                   offset above.units limit 1), $2 + 1) end as first
          from (select count(*) as units from item_unit u
                 where u.item_id = $1 and u.unit > $2) above
        offset 0) b
 cross join lateral (values (greatest($3, b.first), $2), (b.first, $3 - 1)) as r (low, high)
 cross join lateral free_units($1, r.low, r.high) as f (unit)
$_$;

CREATE PROCEDURE public.pay_invoice(IN store integer, IN key text, IN most bigint, IN more bigint, IN settled bigint DEFAULT 0, IN printed boolean DEFAULT false)
    LANGUAGE plpgsql
    AS $$
begin
    loop
        update invoice_payment p
           set coins = p.coins + more,
               paid = p.paid + settled,
               coins_max = case when p.voided and more > 0 then 0
                                when printed then most
                                when p.coins = 0 then nullif(most, -1)
                                else least(p.coins_max, nullif(most, -1)) end
         where p.store_id = store and p.invoice_key = key;
        exit when found;
        insert into invoice_payment (store_id, invoice_key, coins_max, coins, paid)
        values (store, key, nullif(most, -1), more, settled)
            on conflict do nothing;
        exit when found;
    end loop;
end $$;

CREATE TABLE public.journal (
    customer_id uuid NOT NULL,
    asset integer NOT NULL,
    by_id integer NOT NULL,
    seq bigint NOT NULL,
    transaction_id uuid NOT NULL,
    leg smallint NOT NULL,
    kind smallint NOT NULL,
    refusal smallint NOT NULL,
    part smallint NOT NULL,
    requested bigint NOT NULL,
    amount bigint NOT NULL,
    held_amount bigint NOT NULL,
    balance bigint NOT NULL,
    held bigint NOT NULL,
    counter smallint NOT NULL,
    cause smallint NOT NULL,
    counter_party integer NOT NULL,
    brand_id integer NOT NULL,
    store_id integer NOT NULL,
    flags smallint NOT NULL,
    missing_fields smallint NOT NULL,
    till smallint NOT NULL,
    batch_rows smallint NOT NULL,
    writer_id integer NOT NULL,
    batch integer NOT NULL,
    fingerprint bigint NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    bill_amount bigint,
    counted_day integer,
    counted_sales integer,
    counted_points bigint,
    reference uuid,
    lots bigint[] NOT NULL,
    moved bigint[] NOT NULL,
    holds bytea,
    invoice_number text,
    invoice_scope text,
    details text,
    hash bytea NOT NULL,
    xid bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL
);

CREATE VIEW public.account_move AS
 SELECT xid,
    recorded_at,
    asset,
    counter,
    counter_party AS party,
    amount AS available,
    held_amount AS held
   FROM public.journal j
  WHERE ((amount <> 0) OR (held_amount <> 0));

CREATE TABLE public.api_key (
    key_id text NOT NULL,
    secret_hash bytea NOT NULL,
    role text NOT NULL,
    brand_id integer,
    store_id integer,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    principal_id text NOT NULL,
    CONSTRAINT api_key_role_check CHECK ((role = ANY (ARRAY['network'::text, 'brand'::text, 'store'::text, 'app'::text])))
);

CREATE TABLE public.brand (
    brand_id integer NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    currency text NOT NULL,
    version_withdrawn integer DEFAULT 0 NOT NULL,
    retired_at timestamp with time zone
);

CREATE TABLE public.cashier (
    cashier_id integer NOT NULL,
    brand_id integer NOT NULL,
    store_id integer,
    user_name text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    password_set_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE public.cashier ALTER COLUMN cashier_id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.cashier_cashier_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.catalogue_version (
    only_row boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT catalogue_version_only_row_check CHECK (only_row)
);

CREATE TABLE public.change (
    change_id bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    principal text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    content text
);

ALTER TABLE public.change ALTER COLUMN change_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.change_change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW public.coin_move AS
 SELECT j.xid,
    j.recorded_at,
    j.counter,
    m.issuer,
    m.party,
    m.coins
   FROM (public.journal j
     CROSS JOIN LATERAL ( SELECT (j.moved[i.i] & '4294967295'::bigint) AS issuer,
            (j.counter_party)::bigint AS party,
            (- j.moved[(i.i + 1)]) AS coins
           FROM generate_series(1, array_length(j.moved, 1), 2) i(i)
          WHERE (j.counter <> 0)
        UNION ALL
         SELECT lot.issuer,
            debt.issuer,
            (LEAST(lot.reached, debt.reached) - GREATEST((lot.reached - lot.amount), (debt.reached - debt.amount)))
           FROM (( SELECT (j.moved[i.i] & '4294967295'::bigint) AS issuer,
                    (- j.moved[(i.i + 1)]) AS amount,
                    (sum((- j.moved[(i.i + 1)])) OVER (ORDER BY i.i))::bigint AS reached
                   FROM generate_series(1, array_length(j.moved, 1), 2) i(i)
                  WHERE (j.moved[(i.i + 1)] < 0)) lot
             JOIN ( SELECT (j.moved[i.i] & '4294967295'::bigint) AS issuer,
                    j.moved[(i.i + 1)] AS amount,
                    (sum(j.moved[(i.i + 1)]) OVER (ORDER BY i.i))::bigint AS reached
                   FROM generate_series(1, array_length(j.moved, 1), 2) i(i)
                  WHERE (j.moved[(i.i + 1)] > 0)) debt ON ((LEAST(lot.reached, debt.reached) > GREATEST((lot.reached - lot.amount), (debt.reached - debt.amount)))))
          WHERE (j.kind = 17)) m)
  WHERE (((j.asset + 0) = 0) AND ((j.counter <> 0) OR (j.kind = 17)));

CREATE TABLE public.customer (
    customer_id uuid NOT NULL,
    document_type text,
    document_number text,
    document_country text,
    email text,
    phone text,
    first_names text,
    last_names text,
    gender text,
    birth_date date,
    country text,
    city text,
    missing_fields smallint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    erased_at timestamp with time zone,
    code_channel text,
    code_to text,
    code_until timestamp with time zone
);

CREATE TABLE public.failed_code (
    brand_id integer NOT NULL,
    store_id integer NOT NULL,
    cashier_id integer NOT NULL,
    transaction_id uuid NOT NULL,
    failed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.fold (
    only_row boolean DEFAULT true NOT NULL,
    xid bigint NOT NULL,
    server bigint NOT NULL,
    CONSTRAINT fold_only_row_check CHECK (only_row)
);

CREATE VIEW public.freed_transaction AS
 SELECT customer_id,
    reference AS transaction_id
   FROM public.journal r
  WHERE ((kind = 16) AND (leg = 0) AND (refusal = 0) AND (cause = ANY (ARRAY[2, 3])));

CREATE TABLE public.gift_customer (
    item_id integer NOT NULL,
    customer_id uuid NOT NULL
);

CREATE TABLE public.hour_folded (
    hour timestamp with time zone NOT NULL,
    xid_first bigint NOT NULL,
    xid_last bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.identity (
    kind text NOT NULL,
    value text NOT NULL,
    customer_id uuid NOT NULL
);

CREATE TABLE public.invoice_claim (
    store_id integer NOT NULL,
    invoice_key text NOT NULL COLLATE pg_catalog."C",
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.invoice_payment (
    store_id integer NOT NULL,
    invoice_key text NOT NULL COLLATE pg_catalog."C",
    coins_max bigint,
    coins bigint DEFAULT 0 NOT NULL,
    paid bigint DEFAULT 0 NOT NULL,
    voided boolean DEFAULT false NOT NULL,
    CONSTRAINT invoice_payment_coins CHECK (((paid >= 0) AND (coins >= paid) AND (coins <= COALESCE(coins_max, coins)))),
    CONSTRAINT invoice_payment_voided CHECK (((NOT voided) OR (paid = 0)))
);

CREATE TABLE public.invoice_scope_change (
    store_id integer NOT NULL,
    until timestamp with time zone NOT NULL,
    scope text NOT NULL,
    CONSTRAINT invoice_scope_change_scope_check CHECK ((scope = ANY (ARRAY['forever'::text, 'day'::text, 'till_day'::text])))
);

CREATE TABLE public.issuer_allotment (
    allotment_id uuid NOT NULL,
    brand_id integer NOT NULL,
    coins bigint NOT NULL,
    drawn bigint DEFAULT 0 NOT NULL,
    allotted_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    CONSTRAINT issuer_allotment_drawn CHECK (((drawn >= 0) AND (drawn <= coins)))
)
WITH (fillfactor='50');

CREATE TABLE public.issuer_deposit (
    deposit_id uuid NOT NULL,
    brand_id integer NOT NULL,
    coins bigint NOT NULL,
    reference text NOT NULL,
    fingerprint bigint NOT NULL,
    deposited_at timestamp with time zone NOT NULL,
    principal text NOT NULL,
    CONSTRAINT issuer_deposit_coins_check CHECK ((coins > 0))
);

CREATE TABLE public.issuer_fund (
    brand_id integer NOT NULL,
    prepaid_since timestamp with time zone,
    coins bigint DEFAULT 0 NOT NULL,
    CONSTRAINT issuer_fund_coins CHECK ((coins >= 0))
);

CREATE TABLE public.item (
    item_id integer NOT NULL,
    kind text NOT NULL,
    brand_id integer NOT NULL,
    name text NOT NULL,
    points bigint NOT NULL,
    coins bigint NOT NULL,
    stock integer,
    customer_limit integer,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    segment text,
    available boolean DEFAULT true NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT item_check CHECK (((points = 0) OR (coins = 0))),
    CONSTRAINT item_coins_check CHECK ((coins >= 0)),
    CONSTRAINT item_customer_limit_check CHECK ((customer_limit > 0)),
    CONSTRAINT item_kind_check CHECK ((kind = ANY (ARRAY['reward'::text, 'promotion'::text, 'gift'::text]))),
    CONSTRAINT item_points_check CHECK ((points >= 0)),
    CONSTRAINT item_stock_check CHECK ((stock >= 0))
);

CREATE TABLE public.item_turn (
    customer_id uuid NOT NULL,
    item_id integer NOT NULL,
    turn integer NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.item_unit (
    item_id integer NOT NULL,
    unit integer NOT NULL,
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.journal_chain (
    only_row boolean DEFAULT true NOT NULL,
    fingerprint bytea NOT NULL,
    CONSTRAINT journal_chain_only_row_check CHECK (only_row)
);

CREATE VIEW public.lot_move AS
 SELECT j.xid,
    j.recorded_at,
    j.asset,
    (j.moved[i.i] & '4294967295'::bigint) AS issuer,
    ((j.moved[i.i] >> 32))::integer AS expires_day,
    j.moved[(i.i + 1)] AS amount
   FROM (public.journal j
     CROSS JOIN LATERAL generate_series(1, array_length(j.moved, 1), 2) i(i))
  WHERE ((j.counter <> 0) OR (j.kind = 17));

CREATE TABLE public.order_claim (
    brand_id integer NOT NULL,
    order_key text NOT NULL COLLATE pg_catalog."C",
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.organisation (
    organisation_id integer NOT NULL,
    name text NOT NULL,
    retired_at timestamp with time zone
);

CREATE TABLE public.partner (
    partner_id integer NOT NULL,
    name text NOT NULL,
    retired_at timestamp with time zone
);

CREATE TABLE public.partner_rate (
    partner_id integer NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    coins bigint NOT NULL,
    points bigint NOT NULL,
    CONSTRAINT partner_rate_coins_check CHECK ((coins > 0)),
    CONSTRAINT partner_rate_points_check CHECK ((points > 0))
);

CREATE VIEW public.posting AS
 SELECT customer_id,
    asset,
    seq,
    transaction_id,
    kind,
    refusal,
    amount,
    held_amount,
    balance,
    held,
    brand_id,
    store_id,
    recorded_at,
    ( SELECT COALESCE(jsonb_agg(jsonb_build_object('expires_on',
                CASE
                    WHEN ((j.lots[i.i] >> 32) > 0) THEN ('1970-01-01'::date + ((j.lots[i.i] >> 32))::integer)
                    ELSE NULL::date
                END, 'issuer', (j.lots[i.i] & (2147483647)::bigint), 'partner', ((j.lots[i.i] & '2147483648'::bigint) <> 0), 'amount', j.lots[(i.i + 1)]) ORDER BY i.i), '[]'::jsonb) AS "coalesce"
           FROM generate_series(1, COALESCE(array_length(j.lots, 1), 0), 2) i(i)) AS open_lots
   FROM public.journal j;

CREATE TABLE public.programme (
    brand_id integer NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    version integer NOT NULL,
    points bigint NOT NULL,
    points_amount bigint NOT NULL,
    points_validity_days integer NOT NULL,
    coins bigint NOT NULL,
    coins_amount bigint NOT NULL,
    issuer boolean NOT NULL,
    receiver boolean NOT NULL,
    CONSTRAINT programme_check CHECK (((points >= 0) AND (points_amount > 0) AND (points_validity_days > 0))),
    CONSTRAINT programme_check1 CHECK (((coins >= 0) AND (coins_amount > 0)))
);

CREATE TABLE public.qr_look_up (
    customer_id uuid NOT NULL,
    issued_at bigint NOT NULL,
    store_id integer NOT NULL
);

CREATE TABLE public.qr_use (
    customer_id uuid NOT NULL,
    issued_at bigint NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.reference_claim (
    partner_id integer NOT NULL,
    reference_key text NOT NULL COLLATE pg_catalog."C",
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE public.schema_migration (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.sent_code (
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    sent_at timestamp with time zone NOT NULL
);

CREATE TABLE public.session (
    session_id text NOT NULL,
    secret_hash bytea NOT NULL,
    cashier_id integer NOT NULL,
    brand_id integer NOT NULL,
    store_id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone
);

CREATE TABLE public.sign_in_device (
    device_id bytea NOT NULL,
    cashier_id integer NOT NULL,
    store_id integer NOT NULL,
    used_at timestamp with time zone NOT NULL
);

CREATE TABLE public.sign_in_place (
    subject bytea NOT NULL,
    open_at timestamp with time zone NOT NULL
);

CREATE TABLE public.sign_in_try (
    subject bytea NOT NULL,
    failures integer NOT NULL,
    paused_until timestamp with time zone,
    tried_at timestamp with time zone NOT NULL
);

CREATE TABLE public.store (
    store_id integer NOT NULL,
    brand_id integer NOT NULL,
    name text NOT NULL,
    city text NOT NULL,
    accepts_coins boolean NOT NULL,
    invoice_scope text DEFAULT 'forever'::text NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT store_invoice_scope_check CHECK ((invoice_scope = ANY (ARRAY['forever'::text, 'day'::text, 'till_day'::text])))
);

CREATE TABLE public.sum_of_accounts (
    day date NOT NULL,
    asset integer NOT NULL,
    counter smallint NOT NULL,
    party integer NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.sum_of_coins (
    day date NOT NULL,
    issuer bigint NOT NULL,
    counter smallint NOT NULL,
    party bigint NOT NULL,
    coins bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.sum_of_lots (
    asset integer NOT NULL,
    issuer bigint NOT NULL,
    day date NOT NULL,
    expires_day integer NOT NULL,
    amount bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.sweep (
    only_row boolean DEFAULT true NOT NULL,
    worker text,
    lease_until timestamp with time zone,
    customer_id uuid,
    asset integer,
    began_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT sweep_only_row_check CHECK (only_row)
);

CREATE TABLE public.wallet (
    customer_id uuid NOT NULL,
    asset integer NOT NULL
);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.brand
    ADD CONSTRAINT brand_pkey PRIMARY KEY (brand_id);

ALTER TABLE ONLY public.cashier
    ADD CONSTRAINT cashier_brand_id_user_name_key UNIQUE (brand_id, user_name);

ALTER TABLE ONLY public.cashier
    ADD CONSTRAINT cashier_pkey PRIMARY KEY (cashier_id);

ALTER TABLE ONLY public.catalogue_version
    ADD CONSTRAINT catalogue_version_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.failed_code
    ADD CONSTRAINT failed_code_pkey PRIMARY KEY (brand_id, transaction_id);

ALTER TABLE ONLY public.fold
    ADD CONSTRAINT fold_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.gift_customer
    ADD CONSTRAINT gift_customer_pkey PRIMARY KEY (customer_id, item_id);

ALTER TABLE ONLY public.hour_folded
    ADD CONSTRAINT hour_folded_pkey PRIMARY KEY (hour);

ALTER TABLE ONLY public.identity
    ADD CONSTRAINT identity_pkey PRIMARY KEY (kind, value);

ALTER TABLE ONLY public.invoice_claim
    ADD CONSTRAINT invoice_claim_pkey PRIMARY KEY (store_id, invoice_key);

ALTER TABLE ONLY public.invoice_payment
    ADD CONSTRAINT invoice_payment_pkey PRIMARY KEY (store_id, invoice_key);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (store_id, invoice_key);

ALTER TABLE ONLY public.invoice_scope_change
    ADD CONSTRAINT invoice_scope_change_pkey PRIMARY KEY (store_id, until);

ALTER TABLE ONLY public.issuer_allotment
    ADD CONSTRAINT issuer_allotment_pkey PRIMARY KEY (allotment_id);

ALTER TABLE ONLY public.issuer_deposit
    ADD CONSTRAINT issuer_deposit_pkey PRIMARY KEY (deposit_id);

ALTER TABLE ONLY public.issuer_deposit
    ADD CONSTRAINT issuer_deposit_reference UNIQUE (brand_id, reference);

ALTER TABLE ONLY public.issuer_fund
    ADD CONSTRAINT issuer_fund_pkey PRIMARY KEY (brand_id);

ALTER TABLE ONLY public.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (item_id);

ALTER TABLE ONLY public.item_turn
    ADD CONSTRAINT item_turn_pkey PRIMARY KEY (customer_id, item_id, turn);

ALTER TABLE ONLY public.item_unit
    ADD CONSTRAINT item_unit_pkey PRIMARY KEY (item_id, unit);

ALTER TABLE ONLY public.journal_chain
    ADD CONSTRAINT journal_chain_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (customer_id, asset, seq);

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_transaction_key UNIQUE (customer_id, transaction_id, leg);

ALTER TABLE ONLY public.order_claim
    ADD CONSTRAINT order_claim_pkey PRIMARY KEY (brand_id, order_key);

ALTER TABLE ONLY public.organisation
    ADD CONSTRAINT organisation_pkey PRIMARY KEY (organisation_id);

ALTER TABLE ONLY public.partner
    ADD CONSTRAINT partner_pkey PRIMARY KEY (partner_id);

ALTER TABLE ONLY public.partner_rate
    ADD CONSTRAINT partner_rate_pkey PRIMARY KEY (partner_id, effective_from);

ALTER TABLE ONLY public.programme
    ADD CONSTRAINT programme_brand_id_version_key UNIQUE (brand_id, version);

ALTER TABLE ONLY public.programme
    ADD CONSTRAINT programme_pkey PRIMARY KEY (brand_id, effective_from);

ALTER TABLE ONLY public.qr_look_up
    ADD CONSTRAINT qr_look_up_pkey PRIMARY KEY (customer_id, issued_at);

ALTER TABLE ONLY public.qr_use
    ADD CONSTRAINT qr_use_pkey PRIMARY KEY (customer_id, issued_at);

ALTER TABLE ONLY public.reference_claim
    ADD CONSTRAINT reference_claim_pkey PRIMARY KEY (partner_id, reference_key);

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.sent_code
    ADD CONSTRAINT sent_code_pkey PRIMARY KEY (customer_id, transaction_id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.sign_in_device
    ADD CONSTRAINT sign_in_device_pkey PRIMARY KEY (device_id, cashier_id, store_id);

ALTER TABLE ONLY public.sign_in_place
    ADD CONSTRAINT sign_in_place_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.sign_in_try
    ADD CONSTRAINT sign_in_try_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (store_id);

ALTER TABLE ONLY public.sum_of_accounts
    ADD CONSTRAINT sum_of_accounts_pkey PRIMARY KEY (day, asset, counter, party);

ALTER TABLE ONLY public.sum_of_coins
    ADD CONSTRAINT sum_of_coins_pkey PRIMARY KEY (day, issuer, counter, party);

ALTER TABLE ONLY public.sum_of_lots
    ADD CONSTRAINT sum_of_lots_pkey PRIMARY KEY (asset, issuer, day, expires_day);

ALTER TABLE ONLY public.sweep
    ADD CONSTRAINT sweep_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.wallet
    ADD CONSTRAINT wallet_pkey PRIMARY KEY (customer_id, asset);

CREATE INDEX api_key_principal ON public.api_key USING btree (principal_id);

CREATE INDEX customer_passport ON public.customer USING btree (document_number) WHERE (document_type = 'PA'::text);

CREATE INDEX failed_code_brand ON public.failed_code USING btree (brand_id, failed_at);

CREATE INDEX failed_code_cashier ON public.failed_code USING btree (cashier_id, failed_at) WHERE (cashier_id > 0);

CREATE INDEX failed_code_store ON public.failed_code USING btree (store_id, failed_at);

CREATE INDEX gift_customer_item ON public.gift_customer USING btree (item_id);

CREATE INDEX identity_customer ON public.identity USING btree (customer_id);

CREATE UNIQUE INDEX invoice_arrived ON public.invoice USING btree (store_id, arrival);

CREATE INDEX invoice_issued ON public.invoice USING btree (store_id, issued_at, invoice_key);

CREATE INDEX issuer_allotment_open ON public.issuer_allotment USING btree (brand_id) WHERE (closed_at IS NULL);

CREATE INDEX journal_hold ON public.journal USING btree (recorded_at) WHERE ((kind = 3) AND (refusal = 0));

CREATE INDEX journal_recorded ON public.journal USING brin (recorded_at) WITH (autosummarize='on');

CREATE INDEX journal_reference ON public.journal USING btree (customer_id, reference) WHERE ((reference IS NOT NULL) AND (leg = 0));

CREATE UNIQUE INDEX journal_reversal ON public.journal USING btree (customer_id, reference) WHERE ((kind = 16) AND (leg = 0) AND (refusal = 0));

CREATE INDEX journal_xid ON public.journal USING btree (xid);

CREATE INDEX qr_look_up_issued ON public.qr_look_up USING btree (issued_at);

CREATE INDEX sent_code_sent ON public.sent_code USING btree (sent_at);

CREATE INDEX session_cashier ON public.session USING btree (cashier_id);

CREATE INDEX sign_in_device_cashier ON public.sign_in_device USING btree (cashier_id);

CREATE INDEX sign_in_place_open ON public.sign_in_place USING btree (open_at);

CREATE INDEX sign_in_try_tried ON public.sign_in_try USING btree (tried_at);
