-- Counties as the geographic locator of the CMS formulary files lists them.
-- The first schema file: it declares what the services were built against.
-- Codes are compared byte by byte everywhere (collate "C"): they are not words, and their
-- indexes build in little more than half the time.
select overnight.declare_version(5);

create table county (
    county_code      text collate "C" primary key check (length(county_code) = 5),
    state_name       text not null,
    county           text not null,
    ma_region_code   text collate "C",
    ma_region        text,
    pdp_region_code  text collate "C",
    pdp_region       text
);

comment on table county is 'County or county equivalent, with the Medicare regions it lies in';
comment on column county.county_code is 'Social Security Administration code, not FIPS; two digits of the state, three of the county';
comment on column county.county is 'Name without accents';
comment on column county.ma_region_code is 'Region of regional Medicare Advantage plans; missing in the territories';
comment on column county.pdp_region_code is 'Region of prescription drug plans';

create index county_name on county (state_name, county);
