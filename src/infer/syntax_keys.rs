//! The keys of `[format]` that say which bytes are syntax, with what speaks for them.

use super::dialect::{self, Choice, Syntax};
use super::{Note, Setting, counted};
use crate::read::dialect::Escape;

/// The delimiter; `found`: some text has it.
pub fn delimiter(syntax: &Syntax, found: bool) -> Setting {
    let text = char::from(syntax.delimiter).to_string();
    let note = match found {
        true => Note::seen("gives the most records the same number of fields"),
        false => Note::guessed("none was found; this one is nowhere in the file"),
    };
    Setting::new("delimiter", text, note)
}

/// The quote and the escape.
pub fn quote(choice: &Choice, text: &[u8]) -> Vec<Setting> {
    let (syntax, survey) = (&choice.syntax, &choice.survey);
    let Some(quote) = syntax.quote else {
        let starts = dialect::may_quote(b'"', syntax.delimiter, text);
        let inside = memchr::memchr(b'"', text).is_some();
        let by_custom = matches!(syntax.delimiter, b',' | b';' | b':');
        let setting = match (starts, inside, by_custom) {
            (true, ..) => Setting::new("quote", "none", quotes_are_data(syntax, text)),
            (false, true, false) => Setting::new(
                "quote",
                "none",
                Note::guessed("double quotes stand only inside of fields: quotes are data"),
            ),
            (false, false, false) => Setting::new(
                "quote",
                "none",
                Note::guessed("no field has a quote; with this delimiter quotes are mostly data"),
            ),
            (false, true, true) => Setting::new(
                "quote",
                "\"",
                Note::guessed(
                    "no field begins with a quote; some have one inside, which is data either way",
                ),
            ),
            (false, false, true) => Setting::new(
                "quote",
                "\"",
                Note::guessed("no field has a quote; with this delimiter it is mostly this one"),
            ),
        };
        let mut settings = vec![setting];
        if syntax.escape == Escape::Backslash {
            settings[0] = Setting::new("quote", "none", Note::seen("no field begins with a quote"));
            settings.push(Setting::new(
                "escape",
                "backslash",
                Note::seen("with it more records have the same number of fields"),
            ));
        }
        return settings;
    };
    let mut note = format!(
        "{} in {} of {} begin and end with it",
        counted(survey.quoted_fields, "field"),
        crate::units::grouped(survey.quoted_records),
        counted(survey.records, "record")
    );
    if survey.faults > 0 {
        note += &format!(
            "; {} broken quotes",
            match survey.faults {
                1 => "1 record has".to_owned(),
                count => format!("{} records have", crate::units::grouped(count)),
            }
        );
    }
    let mut settings = vec![Setting::new(
        "quote",
        char::from(quote).to_string(),
        Note::seen(note),
    )];
    if syntax.escape == Escape::Backslash {
        settings.push(Setting::new(
            "escape",
            "backslash",
            Note::seen(
                "a backslash stands before quotes inside of fields; doubled quotes would not fit",
            ),
        ));
    }
    settings
}

/// Some fields begin with a double quote.
fn quotes_are_data(syntax: &Syntax, text: &[u8]) -> Note {
    let with = Syntax {
        quote: Some(b'"'),
        ..*syntax
    };
    let survey = with.survey(text, true);
    match survey.unclosed || survey.faults > 0 {
        true => {
            Note::seen("fields begin with a double quote that does not end them: quotes are data")
        }
        false => Note::guessed(format!(
            "{} and none needs it: quotes are data",
            match survey.quoted_fields {
                1 => "1 field is in double quotes,".to_owned(),
                count => format!(
                    "{} fields are in double quotes,",
                    crate::units::grouped(count)
                ),
            }
        )),
    }
}
