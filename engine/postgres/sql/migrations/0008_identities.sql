-- One person is one customer, whatever document they show (CUS-10).

-- Who issued the document, ISO 3166 alpha-2. Null: the type tells, or nobody knows (passports).
alter table customer add column document_country text;

update customer c
   set document_country = case when i.value like 'DUI:%' then 'SV' else split_part(i.value, ':', 2) end
  from identity i
 where c.document_type = 'NIT' and i.customer_id = c.customer_id and i.kind = 'document';

-- A passport is found by its number where the country is not told.
create index customer_passport on customer (document_number) where document_type = 'PA';

-- Documents that carry the same number of the same person get the same key. Where two customers have
-- it by now, the one registered first gets it. The other keeps the old key, by which nobody is
-- found: they are to be merged.
create temporary table identity_moved on commit drop as
with keyed as (
    select i.value as old_value, i.customer_id, c.created_at,
           case
               when i.value ~ '^TI:' then regexp_replace(i.value, '^TI:', 'CC:')
               when i.value ~ '^NIT:CO:' then regexp_replace(i.value, '^NIT:CO:', 'CC:')
               else regexp_replace(i.value, '^RUC:', 'CED:')
           end as new_value
      from identity i
      join customer c using (customer_id)
     where i.kind = 'document'
       and (i.value ~ '^TI:'
            or (i.value ~ '^NIT:CO:' and i.value !~ '^NIT:CO:[89][0-9]{8}$')
            or i.value ~ '^RUC:(([1-9]|1[0-3])(-(AV|PI))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,6}$')
)
select distinct on (new_value) old_value, new_value, customer_id
  from keyed
 order by new_value, created_at, customer_id;

update identity i
   set value = m.new_value
  from identity_moved m
 where i.kind = 'document' and i.value = m.old_value
   and not exists (select from identity o where o.kind = 'document' and o.value = m.new_value);
