-- Drops what 115 has made for the files 120.
drop schema derive cascade;
