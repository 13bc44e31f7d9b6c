-- The FDA's directory of drug products and their packages.
create table ndc_product (
    product_id                text collate "C" primary key,
    product_ndc               text collate "C" not null,
    product_type              text,
    proprietary_name          text,
    proprietary_name_suffix   text,
    nonproprietary_name       text,
    dosage_form               text,
    route                     text,
    start_marketing_date      date,
    end_marketing_date        date,
    marketing_category        text,
    application_number        text,
    labeler                   text,
    substance                 text,
    active_numerator_strength text,
    active_ingredient_unit    text,
    pharm_classes             text,
    dea_schedule              text,
    ndc_exclude_flag          text,
    certified_through         date
);

comment on table ndc_product is 'Drug product in the FDA NDC directory';
comment on column ndc_product.product_id is 'Product NDC and the id of the label document';
comment on column ndc_product.product_ndc is 'Labeler and product with a hyphen: 4-4, 5-3 or 5-4 digits';
comment on column ndc_product.marketing_category is 'NDA and BLA are brand drugs, ANDA generics';
comment on column ndc_product.substance is 'Active substances with a semicolon between them; strengths and units in the same order';

create index ndc_product_ndc on ndc_product (product_ndc);
create index ndc_product_names on ndc_product using gin (
    to_tsvector('simple', coalesce(proprietary_name, '') || ' ' || coalesce(nonproprietary_name, ''))
);

create table ndc_package (
    product_id            text collate "C" not null references ndc_product,
    product_ndc           text collate "C" not null,
    package_code          text collate "C" not null,
    description           text,
    start_marketing_date  date,
    end_marketing_date    date,
    ndc_exclude_flag      text,
    sample_package        boolean,
    -- The 11 digits by which formularies and prices name the package: 5-4-2, zeros in front.
    ndc                   text collate "C" generated always as (
                              lpad(split_part(package_code, '-', 1), 5, '0')
                              || lpad(split_part(package_code, '-', 2), 4, '0')
                              || lpad(split_part(package_code, '-', 3), 2, '0')
                          ) stored,
    primary key (product_id, package_code)
);

comment on table ndc_package is 'Package of a product in the FDA NDC directory';
comment on column ndc_package.package_code is 'Labeler, product and package with hyphens: 4-4-2, 5-3-2 or 5-4-1 digits';
comment on column ndc_package.ndc is '11 digits; two label documents may describe the same package';
comment on column ndc_package.sample_package is 'Given away, not sold';

create index ndc_package_ndc on ndc_package (ndc);
