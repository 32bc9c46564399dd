-- A ledger with lots, as a team would write it by hand: the account's row is the lock, and a key is unique for ever.
-- Room on each page, so that an update of a balance stays on it and changes no index.
DROP SCHEMA IF EXISTS lots CASCADE;
CREATE SCHEMA lots;

CREATE TABLE lots.account (
    id text PRIMARY KEY,
    entries bigint NOT NULL,
    available bigint NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 50);

CREATE TABLE lots.lot (
    account text NOT NULL REFERENCES lots.account,
    number integer NOT NULL,
    expires_at timestamptz NOT NULL,
    remaining bigint NOT NULL CHECK (remaining >= 0),
    PRIMARY KEY (account, number)
) WITH (fillfactor = 50);

CREATE TABLE lots.entry (
    account text NOT NULL,
    number bigint NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    credits bigint NOT NULL,
    balance_after bigint NOT NULL,
    drawn jsonb NOT NULL,
    PRIMARY KEY (account, number),
    UNIQUE (account, key)
);

CREATE FUNCTION lots.open(the_account text, lots integer, credits bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lots.account VALUES (the_account, 0, lots * credits);
    INSERT INTO lots.lot
    SELECT the_account, number, now() + make_interval(months => 11 + number), credits
    FROM generate_series(1, lots) AS number;
END $$;

CREATE FUNCTION lots.debit(the_account text, the_key text, asked bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    state lots.account;
    earlier bigint;
    source record;
    part bigint;
    missing bigint := asked;
    drawn jsonb := '[]';
BEGIN
    SELECT * INTO state FROM lots.account WHERE id = the_account FOR UPDATE;
    SELECT balance_after INTO earlier FROM lots.entry WHERE account = the_account AND key = the_key;
    IF FOUND THEN
        RETURN earlier;
    END IF;
    FOR source IN
        SELECT number, remaining FROM lots.lot
        WHERE account = the_account AND remaining > 0 AND expires_at > now()
        ORDER BY expires_at, number
    LOOP
        part := least(source.remaining, missing);
        UPDATE lots.lot SET remaining = remaining - part WHERE account = the_account AND number = source.number;
        drawn := drawn || jsonb_build_object('lot', source.number, 'credits', part);
        missing := missing - part;
        EXIT WHEN missing = 0;
    END LOOP;
    IF missing > 0 THEN
        RAISE EXCEPTION 'insufficient credits';
    END IF;
    UPDATE lots.account SET available = available - asked, entries = entries + 1 WHERE id = the_account;
    INSERT INTO lots.entry (account, number, key, credits, balance_after, drawn)
    VALUES (the_account, state.entries + 1, the_key, -asked, state.available - asked, drawn);
    RETURN state.available - asked;
END $$;
