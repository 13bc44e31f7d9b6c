-- Rows that must not be: a check passes when it returns none.
select id, price from item where price < 0
