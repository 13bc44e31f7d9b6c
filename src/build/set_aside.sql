-- What was taken out of a build for the load, and how often a run has resumed the build. Assumes
-- the stamp, and the transaction that takes it out; dropped before the first derive file runs.
create table overnight.set_aside (
    one boolean primary key default true check (one),
    plan text not null,
    resumes integer not null default 0
);
comment on table overnight.set_aside is 'What has to be put back after the load; only while a build is being loaded.';
