-- Presence (COI-10): a QR of the customer's app serves the first store that looks it up.

-- The QRs that were looked up, by the second in which each was issued, and by which store. A row is
-- deleted some minutes after its QR is over.
create table qr_look_up (
    customer_id uuid not null,
    issued_at   bigint not null,
    store_id    integer not null,
    primary key (customer_id, issued_at)
);
create index qr_look_up_issued on qr_look_up (issued_at);
