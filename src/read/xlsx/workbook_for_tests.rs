//! Small workbooks, made by hand.

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

/// A workbook of sheets, each its name and what stands between `<sheetData>` tags. Styles: 0 none,
/// 1 a date, 2 a date with a time, 3 a duration, 4 percent.
pub fn workbook(sheets: &[(&str, &str)], strings: &[&str], since_1904: bool) -> Vec<u8> {
    const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relationships = |list: String| {
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{list}</Relationships>"
        )
    };
    let mut parts = vec![(
        "_rels/.rels".to_owned(),
        relationships(format!(
            "<Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/>"
        )),
    )];
    let mut types = String::new();
    let (mut list, mut links) = (String::new(), String::new());
    for (index, (name, rows)) in sheets.iter().enumerate() {
        let number = index + 1;
        let path = format!("xl/worksheets/sheet{number}.xml");
        types += &format!(
            "<Override PartName=\"/{path}\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>"
        );
        list += &format!("<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>");
        links += &format!(
            "<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        );
        let sheet = format!("<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>");
        parts.push((path, sheet));
    }
    let links = links
        + &format!("<Relationship Id=\"rId90\" Type=\"{OFFICE}/styles\" Target=\"styles.xml\"/>")
        + &format!(
            "<Relationship Id=\"rId91\" Type=\"{OFFICE}/sharedStrings\" Target=\"sharedStrings.xml\"/>"
        );
    let since = if since_1904 { " date1904=\"1\"" } else { "" };
    let strings: String = strings
        .iter()
        .map(|string| format!("<si><t xml:space=\"preserve\">{string}</t></si>"))
        .collect();
    let formats: String = [0, 14, 22, 46, 10]
        .iter()
        .map(|format| format!("<xf numFmtId=\"{format}\" applyNumberFormat=\"1\"/>"))
        .collect();
    parts.extend([
        (
            "[Content_Types].xml".to_owned(),
            format!(
                "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/>{types}</Types>"
            ),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!(
                "<workbook {MAIN} xmlns:r=\"{OFFICE}\"><workbookPr{since}/><sheets>{list}</sheets></workbook>"
            ),
        ),
        ("xl/_rels/workbook.xml.rels".to_owned(), relationships(links)),
        (
            "xl/sharedStrings.xml".to_owned(),
            format!("<sst {MAIN}>{strings}</sst>"),
        ),
        (
            "xl/styles.xml".to_owned(),
            format!("<styleSheet {MAIN}><cellXfs count=\"5\">{formats}</cellXfs></styleSheet>"),
        ),
    ]);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in parts {
        archive
            .start_file(path, SimpleFileOptions::default())
            .unwrap();
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
        archive.write_all(declaration.as_bytes()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
