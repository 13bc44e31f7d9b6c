-- Which server made a build: an upgrade in between shows.
alter table ledger.build add column server_version text;
