//! Small files, each with one trap, and what must be proposed for them.

use super::{Container, Proposal, Sample, Subject, container, propose, schema_file, source_file};
use std::io::Write;

pub fn look(bytes: impl AsRef<[u8]>) -> Proposal {
    propose(&sample(bytes)).unwrap()
}

fn sample(bytes: impl AsRef<[u8]>) -> Sample {
    container::unpack(bytes.as_ref().to_vec(), true, None).unwrap()
}

/// The value of a key of `[format]` as TOML; empty where the key is not proposed.
#[track_caller]
pub fn key(proposal: &Proposal, key: &str) -> String {
    let found = proposal.format.iter().find(|setting| setting.key == key);
    found
        .map(|setting| setting.value.to_string())
        .unwrap_or_default()
}

/// `name type` of each column.
pub fn types(proposal: &Proposal) -> Vec<String> {
    let column = |column: &super::ProposedColumn| format!("{} {}", column.name, column.sql_type);
    proposal.columns.iter().map(column).collect()
}

/// The rules of a column, as in TOML.
#[track_caller]
fn rules(proposal: &Proposal, name: &str) -> String {
    let column = proposal
        .columns
        .iter()
        .find(|column| column.name == name)
        .unwrap();
    let rules: Vec<String> = column
        .rules
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    rules.join(", ")
}

fn is_guessed(proposal: &Proposal, key: &str) -> bool {
    let found = proposal
        .format
        .iter()
        .find(|setting| setting.key == key)
        .unwrap();
    found.notes.iter().any(|note| note.guessed)
}

/// One column of the given values, below a header and beside a number.
fn column(values: &[&str]) -> Proposal {
    let mut text = String::from("value|n\n");
    for (index, value) in values.iter().enumerate() {
        text += &format!("{value}|{index}\n");
    }
    look(text)
}

#[track_caller]
fn column_is(values: &[&str], sql: &str, with: &str) {
    let proposal = column(values);
    assert_eq!(
        proposal.columns[0].sql_type, sql,
        "{values:?} {:?}",
        proposal.columns[0].notes
    );
    assert_eq!(rules(&proposal, "value"), with, "{values:?}");
}

#[test]
fn the_delimiter_is_the_one_that_gives_records_the_same_number_of_fields() {
    for (text, delimiter, fields) in [
        ("id,name\n1,a\n2,b\n", "\",\"", 2),
        ("id\tname\n1\ta, b\n2\tc, d, e\n", "\"\\t\"", 2),
        ("id|a|b\n1|x,y|z\n2|x|z,z\n", "\"|\"", 3),
        ("id;cost\n1;2,50\n2;3,75\n3;4,25\n", "\";\"", 2),
        ("id^text\n1^a|b\n2^c\n", "\"^\"", 2),
        ("city:state\nBoston:MA\nConcord:NH\n", "\":\"", 2),
        ("id\u{1f}name\n1\u{1f}a\n", "\"\\u001F\"", 2),
    ] {
        let proposal = look(text);
        assert_eq!(key(&proposal, "delimiter"), delimiter, "{text}");
        assert_eq!(proposal.columns.len(), fields, "{text}");
        assert_eq!(proposal.rejected, 0, "{text}");
    }
}

#[test]
fn lines_without_a_delimiter_are_one_column() {
    let proposal = look("Anna Berg\nKarl Krause, the elder\nMarta\n");
    assert_eq!(proposal.columns.len(), 1);
    assert!(is_guessed(&proposal, "delimiter"));
    assert_ne!(key(&proposal, "delimiter"), "\",\"");
    let times = look("09:15:00\n10:20:30\n11:25:10\n");
    assert_eq!(types(&times), ["column_1 time"]);
}

#[test]
fn quotes_are_quotes_only_where_they_close() {
    let quoted = look("id,name\n1,\"a, b\"\n2,\"say \"\"x\"\"\"\n3,c\n");
    assert_eq!(key(&quoted, "quote"), "'\"'");
    assert_eq!(quoted.columns.len(), 2);
    let data = look("id\tsize\n1\t\"4\n2\t3\" pipe\n3\t\"5\n");
    assert_eq!(key(&data, "quote"), "\"none\"");
    assert!(!is_guessed(&data, "quote"));
    let tilde = look("~1~^~a^b~^2\n~2~^~~^3\n~3~^~\"x\"~^4\n");
    assert_eq!(
        (key(&tilde, "delimiter"), key(&tilde, "quote")),
        ("\"^\"".into(), "\"~\"".into())
    );
    assert_eq!(tilde.columns.len(), 3);
    let escaped = look("a;1\n\"say \\\"x\\\"\";2\n\"\\\"y\\\" z\";3\n");
    assert_eq!(
        (key(&escaped, "escape"), escaped.rejected),
        ("\"backslash\"".into(), 0)
    );
    let late = format!(
        "id\tname\n{}70000\t\"inch\n",
        "1\tplain text that fills\n".repeat(9000)
    );
    assert_eq!(key(&look(late), "quote"), "\"none\"");
}

#[test]
fn a_line_break_in_quotes_ends_no_record() {
    for text in ["a,b\r\n1,\"x\r\ny\"\r\n2,z\r\n", "a,b\r1,\"x\ry\"\r2,z\r"] {
        let proposal = look(text);
        assert_eq!((proposal.records, proposal.rejected), (2, 0), "{text:?}");
        assert_eq!(types(&proposal), ["a integer", "b text"]);
    }
}

#[test]
fn a_header_is_what_the_columns_below_it_do_not_hold() {
    let header = |text: &str| key(&look(text), "header");
    assert_eq!(header("id,day\n1,2026-01-01\n2,2026-01-02\n"), "true");
    assert_eq!(header("1,2026-01-01\n2,2026-01-02\n"), "false");
    assert_eq!(
        header("AD|Andorra\nAE|Emirates\nAF|Afghanistan\nAG|Antigua\n"),
        "false"
    );
    assert_eq!(
        header("code|name\nAE|Emirates\nAF|Afghanistan\nAG|Antigua\n"),
        "true"
    );
    assert_eq!(header("state,2019,2020\nMA,1,2\nMO,3,4\nNH,5,6\n"), "true");
    let guessed = look("first,last\nJohn,Doe\nJane,Roe\n");
    assert_eq!(key(&guessed, "header"), "true");
    assert!(is_guessed(&guessed, "header"));
    let lonely = look("id,name,price\n");
    assert_eq!((key(&lonely, "header"), lonely.records), ("true".into(), 0));
    let unnamed = look("1,x\n2,y\n");
    assert_eq!(key(&unnamed, "names"), "[\"column_1\", \"column_2\"]");
}

#[test]
fn lines_before_and_behind_the_records_are_no_records() {
    let rows: String = (1..=30)
        .map(|row| format!("{row}\tname {row}\t{row}.5\n"))
        .collect();
    let proposal = look(format!(
        "PRICES OF 2026\nin dollars\nid\tname\tprice\n{rows}\nNotes: none\n"
    ));
    assert_eq!(
        (key(&proposal, "skip_lines"), key(&proposal, "footer")),
        ("2".into(), "1".into())
    );
    assert_eq!((proposal.records, proposal.rejected), (30, 0));
    let total = look(format!("id\tname\tprice\n{rows}Total\t\t15.5\n"));
    assert_eq!(
        (key(&total, "footer"), total.columns[0].sql_type.as_str()),
        ("1".into(), "integer")
    );
    // As many columns as the records have, behind an empty line.
    let notes = look(format!("id\tname\tprice\n{rows}\r\n\tNotes:\t\n"));
    assert_eq!((key(&notes, "footer"), notes.records), ("1".into(), 30));
    let blank = look("\n\n\nid,name\n1,a\n2,b\n");
    assert_eq!(
        (key(&blank, "skip_lines"), blank.records),
        (String::new(), 2)
    );
}

#[test]
fn comments_are_lines_unlike_the_records() {
    let proposal = look(
        "# made by hand\n#\n# code, name\nAD\tAndorra\n# late\nAE\tEmirates\nAF\tAfghanistan\nAG\tAntigua\n",
    );
    assert_eq!(
        (key(&proposal, "comment"), proposal.records),
        ("\"#\"".into(), 4)
    );
    assert_eq!(proposal.rejected, 0);
    // A name that begins with a number sign.
    let header = look("#id,name\n1,a\n2,b\n");
    assert_eq!(
        (key(&header, "comment"), key(&header, "header")),
        (String::new(), "true".into())
    );
}

#[test]
fn a_delimiter_too_many_at_the_end_is_no_column() {
    let with_header = look("id|name\n1|a|\n2|b|\n");
    assert_eq!(
        (
            key(&with_header, "trailing_delimiter"),
            with_header.columns.len()
        ),
        ("true".into(), 2)
    );
    let without = look("1|a|2.5|\n2|b|3.5|\n3|c|4.5|\n");
    assert_eq!(
        (key(&without, "trailing_delimiter"), without.columns.len()),
        ("true".into(), 3)
    );
    assert!(is_guessed(&without, "trailing_delimiter"));
    // A record without any value says nothing, and a last column that is sometimes filled is one.
    assert_eq!(key(&look("a,b,c\n,,,\n"), "trailing_delimiter"), "");
    assert_eq!(look("1|a|\n2|b|x\n3|c|\n").columns.len(), 3);
}

#[test]
fn records_of_another_width_are_told_and_allowed_for() {
    let proposal = look("a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n7,8,9\n");
    assert_eq!((proposal.records, proposal.rejected), (5, 2));
    let text = source_file(&proposal, &subject());
    assert!(text.contains("# 2 of 5 are rejected as they are"), "{text}");
    assert!(text.contains("rejects = { max = 2 }"), "{text}");
    let optional: String = (1..=40)
        .map(|row| {
            if row % 3 == 0 {
                format!("{row},x\n")
            } else {
                format!("{row},x,note\n")
            }
        })
        .collect();
    let proposal = look(format!("id,kind,remark\n{optional}"));
    assert_eq!(
        (key(&proposal, "short_rows"), proposal.rejected),
        ("\"pad\"".into(), 0)
    );
    assert!(is_guessed(&proposal, "short_rows"));
    let without_header: String = (1..=60)
        .map(|row| {
            if row % 3 == 0 {
                format!("{row},x,note\n")
            } else {
                format!("{row},x\n")
            }
        })
        .collect();
    let proposal = look(without_header);
    assert_eq!(
        (
            key(&proposal, "short_rows"),
            proposal.columns.len(),
            proposal.rejected
        ),
        ("\"pad\"".into(), 3, 0)
    );
    let none = look("a,b,c\n1,2\n");
    assert!(source_file(&none, &subject()).contains("rows = { min = 0 }\n# 1 of 1 are rejected"));
}

#[test]
fn numbers_get_the_type_that_loses_nothing() {
    column_is(&["1", "-20", "300"], "integer", "");
    column_is(&["1", "4000000000"], "bigint", "");
    column_is(&["1.5", "-20", "300.125"], "numeric(9,3)", "");
    column_is(&["001", "020", "300"], "text", "");
    column_is(&["12345678901234567890", "1"], "text", "");
    column_is(&["50090443201", "50090443202"], "text", "");
    column_is(&["1e5", "2.5E-3"], "numeric", "");
    column_is(
        &["$1,234.00", "($60.80)", "5"],
        "numeric(9,2)",
        "parse = \"money\"",
    );
    column_is(&["12%", "12.5%"], "numeric(8,3)", "parse = \"percent\"");
    let comma = "parse = \"decimal\", decimal_point = \",\"";
    column_is(&["1,2", "-3,45", "12"], "numeric(7,2)", comma);
    column_is(&["0,125", "1,250"], "numeric(7,3)", comma);
    let grouped = format!("{comma}, thousands = \".\"");
    column_is(&["1.974,12", "12.345", "0,5"], "numeric(10,2)", &grouped);
    let american = "parse = \"decimal\", thousands = \",\"";
    column_is(&["1,234.56", "12"], "numeric(9,2)", american);
    column_is(&["192.168.100.200", "192.168.100.201"], "text", "");
    column_is(&["1,2,3", "3,4,5"], "text", "");
    column_is(&["  6066.835", "   880.7"], "numeric(10,3)", "");
}

#[test]
fn names_tell_codes_from_numbers() {
    let proposal = look("zip_code,state_cd,count\n12345,22,1\n23456,23,2\n34567,24,3\n");
    assert_eq!(
        types(&proposal),
        ["zip_code text", "state_cd text", "count integer"]
    );
}

#[test]
fn days_and_moments_are_found_by_pattern() {
    column_is(&["2026-01-31", "2026-02-01"], "date", "");
    column_is(&["20260131", "19991231"], "date", "");
    column_is(&["20260131", "20260231"], "integer", "");
    let date = |pattern: &str| format!("parse = \"date\", pattern = \"{pattern}\"");
    column_is(&["01/31/2026", "02/01/2026"], "date", &date("MM/DD/YYYY"));
    column_is(&["31/01/2026", "01/02/2026"], "date", &date("DD/MM/YYYY"));
    column_is(&["1/31/2026", "12/1/2026"], "date", &date("FMMM/FMDD/YYYY"));
    column_is(
        &["17-MAR-1981", "01-Jan-2026"],
        "date",
        &date("DD-MON-YYYY"),
    );
    column_is(&["31.01.2026", "01.02.2026"], "date", &date("DD.MM.YYYY"));
    column_is(
        &["01/31/26", "02/01/75"],
        "date",
        &format!("{}, pivot = 50", date("MM/DD/YY")),
    );
    column_is(
        &["2026-01-31 10:00:00", "2026-01-31T10:00:00.5"],
        "timestamp",
        "",
    );
    column_is(
        &["2026-01-31 10:00:00Z", "2026-01-31T10:00:00+02"],
        "timestamptz",
        "",
    );
    column_is(
        &["01/31/2026 23:59:59", "02/01/2026 00:00:00"],
        "timestamp",
        "parse = \"timestamp\", pattern = \"MM/DD/YYYY HH24:MI:SS\"",
    );
    column_is(&["10:00", "23:59"], "time", "");
    let open = column(&["01/02/2026", "03/04/2026"]);
    assert!(
        open.columns[0].notes.iter().any(|note| note.guessed),
        "{:?}",
        open.columns[0].notes
    );
}

#[test]
fn words_for_no_value_are_nulls_in_columns_of_other_types_only() {
    column_is(
        &["1", ".", "2", "NA"],
        "integer",
        "null = [\"\", \".\", \"NA\"]",
    );
    column_is(&["1", " ", "2"], "integer", "null = [\"\", \" \"]");
    column_is(&["1", " ", "  ", "   ", "2"], "integer", "trim = true");
    column_is(
        &["20260131", "00000000"],
        "date",
        "null = [\"\", \"00000000\"]",
    );
    column_is(&["x", "NA", "NULL"], "text", "");
    column_is(&["x", "\\N"], "text", "null = [\"\", '\\N']");
    column_is(&["", ""], "text", "");
}

#[test]
fn booleans_need_both_words() {
    column_is(&["true", "FALSE", ""], "boolean", "");
    column_is(&["Y", "N", "Y"], "boolean", "");
    column_is(&["N", "N"], "text", "");
    column_is(&["Y", "N", "U"], "text", "");
    column_is(&["0", "1"], "integer", "");
}

#[test]
fn encodings_are_told_by_their_bytes() {
    let label = |bytes: &[u8]| key(&look(bytes), "encoding").trim_matches('"').to_owned();
    let utf16 = |text: &str, little: bool| -> Vec<u8> {
        let unit = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        text.encode_utf16().flat_map(unit).collect()
    };
    assert_eq!(label(b"\xEF\xBB\xBFa,b\n1,2\n"), "utf-8");
    assert_eq!(label(b"a,b\n1,\xC3\xA9\n"), "utf-8");
    assert_eq!(label(b"a,b\n1,\x93x\x94\n"), "windows-1252");
    assert_eq!(label(b"a,b\n1,\xE9t\xE9\n2,\x81\n"), "iso-8859-1");
    let open = look(b"a,b\n1,\xE9t\xE9\n");
    assert_eq!(
        (key(&open, "encoding"), is_guessed(&open, "encoding")),
        ("\"windows-1252\"".into(), true)
    );
    assert_eq!(label(&utf16("\u{feff}a,b\n1,2\n3,4\n", true)), "utf-16");
    assert_eq!(label(&utf16("\u{feff}a,b\n1,2\n3,4\n", false)), "utf-16");
    assert_eq!(label(&utf16("id,name\n1,x\n2,y\n", true)), "utf-16le");
    assert_eq!(label(&utf16("id,name\n1,x\n2,y\n", false)), "utf-16be");
    let japanese = "番号,名前\n1,東京タワー\n2,ひらがな\n3,カタカナ\n";
    assert_eq!(
        label(&encoding_rs::SHIFT_JIS.encode(japanese).0),
        "shift_jis"
    );
    let chinese = "编号,名称\n1,北京市海淀区中关村\n2,上海浦东新区\n3,广州天河\n";
    assert_eq!(label(&encoding_rs::GBK.encode(chinese).0), "gbk");
    // One broken byte makes no other encoding of it, but a reject.
    let mut broken = b"a,b\n".to_vec();
    broken.extend("1,é\n".repeat(50).bytes());
    broken.extend(b"2,\xFF\n");
    let proposal = look(&broken);
    assert_eq!(
        (key(&proposal, "encoding"), proposal.rejected),
        ("\"utf-8\"".into(), 1)
    );
}

#[test]
fn names_become_identifiers_that_lead_back_to_the_header() {
    let long = "x".repeat(80);
    let proposal = look(format!(
        "Unit Cost,a,a,,order,2019,{long},ID,id\n1,2,3,4,5,6,7,8,9\n"
    ));
    let found: Vec<(String, Option<String>)> = proposal
        .columns
        .iter()
        .map(|column| (column.name.clone(), column.from.clone()))
        .collect();
    let from =
        |name: &str, from: &str| (name.to_owned(), (!from.is_empty()).then(|| from.to_owned()));
    assert_eq!(
        found,
        [
            from("unit_cost", ""),
            from("a", "a#1"),
            from("a_2", "a#2"),
            from("column_4", "#4"),
            from("order_", "order"),
            from("_2019", "2019"),
            from(&"x".repeat(63), &long),
            from("id", "ID"),
            from("id_2", "id"),
        ]
    );
}

#[test]
fn keys_are_columns_that_tell_records_apart() {
    let rows: String = (1..=40)
        .map(|row| format!("{},{},{row}\n", row / 10, row % 10))
        .collect();
    let together = look(format!("shelf,place,weight_g\n{rows}"));
    assert_eq!(together.key, ["weight_g"]);
    let rows: String = (0..40)
        .map(|row| format!("{},{},{}\n", row / 10, row % 10, row % 7))
        .collect();
    let together = look(format!("shelf,place,n\n{rows}"));
    assert_eq!(together.key, ["shelf", "place"]);
    let sql = schema_file(&together, &subject(), true);
    assert!(sql.contains("primary key (shelf, place)\n"), "{sql}");
    let few = look("id,name\n1,a\n2,b\n");
    let sql = schema_file(&few, &subject(), true);
    assert!(sql.contains("-- guessed: primary key (id)"), "{sql}");
    assert!(look("a,b\n1,1\n1,1\n").key.is_empty());
}

#[test]
fn fixed_width_is_seen_and_its_layout_is_a_guess() {
    let mut text = String::new();
    for row in 1..=30 {
        let name = ["Part, small", "Bolt", "Nut, M4, big"][row % 3];
        text += &format!("{row:05} {name:<14}{:>8}{:<10}\n", row * 100, "A1");
    }
    let proposal = look(&text);
    assert_eq!(proposal.kind, "fixed_width");
    assert!(is_guessed(&proposal, "layout"));
    assert_eq!(proposal.columns[0].sql_type, "text");
    assert!(
        key(&proposal, "layout").contains("start = 1"),
        "{}",
        key(&proposal, "layout")
    );
    let cut = format!("{text}{:05} short\n", 31);
    assert_eq!(key(&look(cut), "short_rows"), "\"pad\"");
}

#[test]
fn json_lines_give_a_column_for_each_key() {
    let proposal = look(
        "{\"claimId\":\"007\",\"paid\":1.50,\"lines\":[{\"n\":1}],\"day\":\"2026-01-31\"}\n{\"claimId\":\"008\",\"paid\":null,\"ok\":true,\"day\":\"\"}\n",
    );
    assert_eq!(proposal.kind, "json_lines");
    assert_eq!(
        types(&proposal),
        [
            "claim_id text",
            "paid numeric(5,1)",
            "lines jsonb",
            "day date",
            "ok boolean"
        ]
    );
    assert_eq!(proposal.columns[0].from.as_deref(), Some("claimId"));
    assert_eq!(rules(&proposal, "day"), "null = [\"\"]");
}

#[test]
fn repeated_elements_of_xml_are_rows() {
    let proposal = look(
        "<?xml version=\"1.0\"?><list made=\"x\"><info>a</info><drug id=\"1\"><name>A &amp; B</name><cost unit=\"usd\">1.5</cost></drug><drug id=\"2\"><name>C</name><alias>d</alias><alias>e</alias></drug></list>",
    );
    assert_eq!(
        (proposal.kind, key(&proposal, "rows")),
        ("xml", "\"/list/drug\"".into())
    );
    assert_eq!(
        types(&proposal),
        [
            "id integer",
            "name text",
            "cost_unit text",
            "cost numeric(5,1)",
            "alias text[]"
        ]
    );
    let froms: Vec<Option<&str>> = proposal
        .columns
        .iter()
        .map(|column| column.from.as_deref())
        .collect();
    assert_eq!(
        froms,
        [Some("@id"), None, Some("cost/@unit"), None, Some("alias[]")]
    );
}

#[test]
fn containers_are_taken_off_by_content() {
    let text = b"id,name\n1,a\n2,b\n";
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            out.start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            out.write_all(bytes).unwrap();
        }
        out.finish().unwrap().into_inner()
    }
    let two = [gzip(b"id,name\n1,a\n"), gzip(b"2,b\n")].concat();
    for (bytes, containers) in [
        (two, vec![Container::Gzip]),
        (
            zstd::encode_all(&text[..], 1).unwrap(),
            vec![Container::Zstd],
        ),
        (
            zip(&[("__MACOSX/._a.csv", b"x"), ("a.csv", text)]),
            vec![Container::Zip],
        ),
        (
            gzip(&zip(&[("a.csv", text)])),
            vec![Container::Gzip, Container::Zip],
        ),
    ] {
        let proposal = look(bytes);
        assert_eq!(
            (proposal.records, &proposal.containers),
            (2, &containers),
            "{containers:?}"
        );
    }
    let several = zip(&[("a.csv", b"a\n"), ("b.csv", b"b\n")]);
    let wanted = glob::Pattern::new("b.*").unwrap();
    let second = container::unpack(several.clone(), true, Some(&wanted)).unwrap();
    assert_eq!(
        (second.member.as_deref(), second.bytes.as_slice()),
        (Some("b.csv"), &b"b\n"[..])
    );
    let error = container::unpack(several, true, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("2 files: `a.csv`, `b.csv`"), "{error}");
}

#[test]
fn only_the_start_of_a_file_gives_shares_and_no_key() {
    let rows: String = (1..=100)
        .map(|row| format!("{row},{}\n", row % 3))
        .collect();
    let sample = Sample {
        containers: Vec::new(),
        member: None,
        members: 0,
        bytes: format!("id,n\n{rows}5,6,7\n101,").into_bytes(),
        whole: false,
    };
    let proposal = propose(&sample).unwrap();
    assert_eq!((proposal.records, proposal.rejected), (101, 1));
    let text = source_file(&proposal, &subject());
    assert!(text.contains("its start was looked at"), "{text}");
    assert!(text.contains("rejects = { max = \"1.98%\" }"), "{text}");
    assert!(!schema_file(&proposal, &subject(), true).contains("\n    primary key"));
}

#[test]
fn an_empty_file_is_no_table() {
    for bytes in ["", "\n", " \r\n\r\n"] {
        let error = propose(&sample(bytes)).unwrap_err().to_string();
        assert!(error.contains("empty"), "{error}");
    }
}

#[test]
fn no_value_is_ever_written() {
    let text = "name,born,code\nSecretperson,17-MAR-1981,00417\nOtherperson,18-MAR-1982,00418\n";
    let proposal = look(text);
    let written = source_file(&proposal, &subject())
        + &schema_file(&proposal, &subject(), true)
        + &serde_json::to_string(&proposal).unwrap();
    for value in ["Secretperson", "Otherperson", "1981", "00417", "00418"] {
        assert!(!written.contains(value), "{value} in {written}");
    }
}

fn subject() -> Subject<'static> {
    Subject {
        key: "items.csv",
        matched: 1,
        files: "items.csv",
        table: "items",
    }
}

#[test]
fn a_preamble_that_is_filled_up_with_delimiters_is_skipped() {
    let mut text = String::from(
        "Export of warehouse X;;;\r\nMade;2026-11-28;;\r\n;;;\r\nSKU;Name;Qty;Price\r\n",
    );
    for row in 1..=30 {
        text += &format!("A{row:03};thing {row};{row};1.974,{row:02}\r\n");
    }
    text += "Total;;465;59.222,00\r\n";
    let proposal = look(&text);
    assert_eq!(key(&proposal, "skip_lines"), "3");
    assert_eq!(key(&proposal, "footer"), "1");
    assert_eq!(
        types(&proposal),
        ["sku text", "name text", "qty integer", "price numeric(9,2)"]
    );
    // Records with few values are no preamble when others behind them have as few.
    let mut text = String::new();
    for row in 1..=40 {
        text += &match row % 4 {
            1 => format!("A{row:03};;;\n"),
            _ => format!("A{row:03};thing {row};{row};{row}\n"),
        };
    }
    assert_eq!(key(&look(&text), "skip_lines"), "");
}

#[test]
fn a_header_that_comes_again_does_not_make_text_of_numbers() {
    let mut text = String::from("id,price\n");
    for row in 1..=40 {
        text += &format!("{row},{row}.50\n");
        if row % 20 == 0 {
            text += "id,price\n";
        }
    }
    let proposal = look(&text);
    assert_eq!(types(&proposal), ["id integer", "price numeric(7,2)"]);
    assert_eq!((proposal.records, proposal.rejected), (42, 2));
}

#[test]
fn a_constant_prefix_and_a_second_word_are_no_field_of_their_own() {
    let mut text = String::new();
    for row in 1..=12 {
        let name = match row % 4 {
            0 => "TABLE SMALL",
            1 => "LAMP",
            2 => "CHAIR",
            _ => "COUCH",
        };
        text += &format!("SKU{row:04} {name:<14}{row:>5}\n");
    }
    let proposal = look(&text);
    let layout: Vec<String> = proposal
        .format
        .iter()
        .filter(|setting| setting.key == "layout")
        .flat_map(|setting| setting.value.as_array().unwrap())
        .map(|field| format!("{} {}", field["start"], field["length"]))
        .collect();
    assert_eq!(layout, ["1 8", "9 17", "26 2"]);
}
