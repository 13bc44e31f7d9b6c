//! Seeded texts for every type: well formed, nearly so, and at the limits.

/// Splitmix64: the same texts on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn of(&mut self, alphabet: &str, longest: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let length = self.below(longest + 1);
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    fn digits(&mut self, shortest: usize, longest: usize) -> String {
        let length = shortest + self.below(longest - shortest + 1);
        // Runs of zeros and nines find more than even digits do.
        let alphabet = self
            .pick(&["0123456789", "0123456789", "0001", "99989"])
            .as_bytes();
        (0..length)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }

    /// Changes one place: drops, doubles, replaces or inserts a character.
    pub fn spoil(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let at = self.below(letters.len() + 1);
        let other = *[
            ' ', '\t', '\u{b}', '-', '+', '.', ',', ':', '/', '0', '1', '6', '9', 'e', 'E', 'T',
            'Z', 'x', 'a', 'm', 'P', 's', '"', '\\', '{', '}', '[', ']', '\'', '_', 'ä', '١', '\n',
            '(', 'B',
        ]
        .get(self.below(35))
        .unwrap();
        match self.below(4) {
            0 if at < letters.len() => drop(letters.remove(at)),
            1 if at < letters.len() => letters.insert(at, letters[at]),
            2 if at < letters.len() => letters[at] = other,
            _ => letters.insert(at, other),
        }
        letters.into_iter().collect()
    }
}

pub fn boolean(r: &mut Random) -> String {
    let word = r.pick(&[
        "true", "false", "yes", "no", "on", "off", "1", "0", "TRUE", "No", "oN",
    ]);
    word[..1 + r.below(word.len())].to_owned()
}

pub fn integer(r: &mut Random) -> String {
    let sign = r.pick(&["", "", "-", "+", " ", "\t-"]);
    let edge = [
        "32767",
        "32768",
        "2147483647",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
    ];
    let digits = match r.below(6) {
        0 => r.pick(&edge).to_owned(),
        1 => r.digits(1, 30),
        2 => format!("000{}", r.digits(1, 20)),
        _ => r.digits(1, 6),
    };
    format!("{sign}{digits}{}", r.pick(&["", "", "", " ", "\n"]))
}

pub fn decimal(r: &mut Random) -> String {
    let sign = r.pick(&["", "", "-", "+"]);
    let (whole, fraction) = match r.below(6) {
        0 => (400, 400),
        1 => (20, 20),
        _ => (5, 4),
    };
    let whole = r.digits(0, whole);
    let fraction = r.digits(0, fraction);
    let point = if fraction.is_empty() && !r.one_in(8) {
        ""
    } else {
        "."
    };
    let exponent = match r.below(12) {
        0 => format!("e{}", r.below(500) as i32 - 250),
        1 => format!("E+{}", r.below(20)),
        2 => format!("e-{}", r.below(20)),
        _ => String::new(),
    };
    format!("{sign}{whole}{point}{fraction}{exponent}")
}

/// Numbers around the limits of a small precision and scale.
pub fn small_decimal(r: &mut Random) -> String {
    let (sign, whole) = (r.pick(&["", "-"]), r.digits(0, 6));
    let zeros = "0".repeat(r.below(5));
    format!(
        "{sign}{whole}{}.{}{zeros}",
        r.pick(&["", "00", "000"]),
        r.digits(1, 3)
    )
}

pub fn float(r: &mut Random) -> String {
    match r.below(4) {
        0 => format!("{:e}", f64::from_bits(r.next())),
        1 => format!("{}", f32::from_bits(r.next() as u32)),
        _ => decimal(r),
    }
}

pub fn text(r: &mut Random) -> String {
    r.of("abc äß€😀'\"\\\n\t{},0", 12)
}

pub fn date(r: &mut Random) -> String {
    let year = match r.below(6) {
        0 => r.digits(4, 7),
        1 => format!("{:04}", r.below(4800)),
        _ => format!("{:04}", 1890 + r.below(150)),
    };
    let last = if r.one_in(6) { 32 } else { 28 };
    let (month, day) = (1 + r.below(12), 1 + r.below(last));
    let bc = r.pick(&["", "", "", "", "", " BC", " bc"]);
    match r.below(8) {
        0 if year.len() == 4 => format!("{year}{month:02}{day:02}{bc}"),
        1 => format!("{year}-02-29{bc}"),
        2 => format!("{year}-12-31{bc}"),
        _ => format!("{year}-{month:02}-{day:02}{bc}"),
    }
}

pub fn time(r: &mut Random) -> String {
    let (hour, minute, second) = (r.below(25), r.below(60), r.below(61));
    let fraction = match r.below(3) {
        0 => String::new(),
        1 => format!(".{}", r.digits(1, 6)),
        _ => format!(".{}{}", r.digits(1, 3), "0".repeat(r.below(6))),
    };
    match r.below(6) {
        0 => format!("{hour}:{minute:02}:{second:02}{fraction}"),
        1 => format!("{hour:02}:{minute:02}"),
        2 => r
            .pick(&[
                "24:00:00",
                "24:00",
                "00:00:00",
                "23:59:59.999999",
                "23:59:60",
            ])
            .to_owned(),
        _ => format!("{hour:02}:{minute:02}:{second:02}{fraction}"),
    }
}

pub fn timestamp(r: &mut Random) -> String {
    let (date, time) = (date(r), time(r));
    let separator = r.pick(&[" ", " ", "T"]);
    match date.split_once(' ') {
        _ if r.one_in(10) => date,
        Some((date, bc)) => format!("{date}{separator}{time} {bc}"),
        None => format!("{date}{separator}{time}"),
    }
}

pub fn timestamp_without_era(r: &mut Random) -> String {
    let text = timestamp(r);
    text.trim_end_matches(" BC")
        .trim_end_matches(" bc")
        .to_owned()
}

pub fn timestamptz(r: &mut Random) -> String {
    let (hour, minute) = (r.below(17), r.below(60));
    let sign = r.pick(&["+", "-"]);
    let offset = match r.below(7) {
        0 => "Z".to_owned(),
        1 => format!("{sign}{hour:02}"),
        2 => format!("{sign}{hour:02}{minute:02}"),
        3 => format!("{sign}{hour:02}:{minute:02}:{:02}", r.below(60)),
        4 => format!(" {sign}{hour:02}:{minute:02}"),
        _ => format!("{sign}{hour:02}:{minute:02}"),
    };
    let (date, time) = (date(r), time(r));
    let separator = r.pick(&[" ", "T"]);
    match date.split_once(' ') {
        Some((date, bc)) => format!("{date}{separator}{time}{offset} {bc}"),
        None => format!("{date}{separator}{time}{offset}"),
    }
}

pub fn interval(r: &mut Random) -> String {
    let number = |r: &mut Random| {
        format!(
            "{}{}",
            r.pick(&["", "", "-", "+"]),
            r.digits(1, 9).trim_start_matches('0').to_owned() + "0"
        )
    };
    let small = |r: &mut Random| format!("{}{}", r.pick(&["", "", "-"]), r.below(100));
    let count = |r: &mut Random| if r.one_in(12) { number(r) } else { small(r) };
    let fraction = |r: &mut Random| {
        if r.one_in(2) {
            format!(".{}", r.digits(1, 6))
        } else {
            String::new()
        }
    };
    if r.one_in(3) {
        let mut text = "P".to_owned();
        for unit in ["Y", "M", "W", "D"] {
            if r.one_in(2) {
                text += &format!("{}{unit}", count(r));
            }
        }
        if r.one_in(2) {
            text += "T";
            for unit in ["H", "M"] {
                if r.one_in(2) {
                    text += &format!("{}{unit}", count(r));
                }
            }
            text += &format!("{}{}S", count(r), fraction(r));
        }
        return text;
    }
    let units: [&[&str]; 12] = [
        &["millennium", "millennia"],
        &["century", "centuries"],
        &["decade", "decades"],
        &["year", "years", "yr", "yrs", "y", "YEARS"],
        &["mon", "mons", "month", "months"],
        &["week", "weeks", "w"],
        &["day", "days", "d", "Day"],
        &["hour", "hours", "hr", "hrs", "h"],
        &["min", "mins", "minute", "minutes"],
        &["sec", "secs", "second", "seconds", "s"],
        &["ms", "msec", "msecs", "millisecond", "milliseconds"],
        &["us", "usec", "usecs", "microsecond", "microseconds"],
    ];
    let mut parts = Vec::new();
    let clock = r.one_in(2);
    for (i, names) in units.iter().enumerate() {
        if r.one_in(4) && !(clock && i > 6 && !r.one_in(8)) {
            let fraction = if i == 9 || r.one_in(30) {
                fraction(r)
            } else {
                String::new()
            };
            let space = r.pick(&[" ", " ", "", "  "]);
            parts.push(format!("{}{fraction}{space}{}", count(r), r.pick(names)));
        }
    }
    if r.one_in(6) {
        parts.reverse();
    }
    if clock {
        let sign = r.pick(&["", "", "-", "+"]);
        let hours = r.pick(&["00", "04", "1", "36", "100", "123456789"]);
        let seconds = if r.one_in(4) {
            String::new()
        } else {
            format!(":{:02}{}", r.below(61), fraction(r))
        };
        parts.push(format!("{sign}{hours}:{:02}{seconds}", r.below(60)));
    }
    format!(
        "{}{}{}",
        r.pick(&["", "", "", "@ "]),
        parts.join(" "),
        r.pick(&["", "", "", " ago", " AGO"])
    )
}

pub fn uuid(r: &mut Random) -> String {
    let digits = format!("{:016x}{:016X}", r.next(), r.next());
    let hyphens = format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    );
    match r.below(4) {
        0 => digits,
        1 => format!("{{{digits}}}"),
        2 => format!("{{{hyphens}}}"),
        _ => hyphens,
    }
}

pub fn json(r: &mut Random) -> String {
    json_value(r, 3)
}

fn json_value(r: &mut Random, depth: usize) -> String {
    let space = r.pick(&["", "", " ", "\n\t"]);
    let value = match r.below(if depth == 0 { 4 } else { 7 }) {
        0 => r
            .pick(&[
                "null",
                "true",
                "false",
                "[]",
                "{}",
                "[ ]",
                "0",
                "-0",
                "1e5",
                "1E-7",
                "0.10",
                "-12.50e+2",
                "1e400",
            ])
            .to_owned(),
        1 => decimal(r).trim_start_matches(['+', '0']).to_owned(),
        2 | 3 => json_string(r),
        4 => {
            let items: Vec<_> = (0..1 + r.below(3))
                .map(|_| json_value(r, depth - 1))
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let items: Vec<_> = (0..1 + r.below(3))
                .map(|_| format!("{}{space}:{}", json_string(r), json_value(r, depth - 1)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
    };
    format!("{space}{value}{space}")
}

fn json_string(r: &mut Random) -> String {
    let parts = [
        "a",
        "b c",
        "ä",
        "😀",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u00e4",
        "\\ud83d\\uDE00",
        "'",
        "{",
        "\\u0001",
        "",
    ];
    let odd = ["\\u0000", "\\ud800", "\\udc00", "\u{1}", "\\x", "\\u12"];
    let mut text: String = (0..r.below(4)).map(|_| r.pick(&parts)).collect();
    if r.one_in(25) {
        text += r.pick(&odd);
    }
    format!("\"{text}\"")
}

pub fn bytea(r: &mut Random) -> String {
    if r.one_in(2) {
        let bytes = r.below(10);
        return (0..bytes).fold("\\x".to_owned(), |text, _| {
            format!("{text}{:02x}", r.below(256))
        });
    }
    let parts = [
        "a", "ä", "\\\\", "\\000", "\\377", "\\101", "'", " ", "\\400", "x",
    ];
    let count = r.below(6);
    (0..count).map(|_| r.pick(&parts)).collect()
}

pub fn inet(r: &mut Random) -> String {
    let octet = |r: &mut Random| {
        r.pick(&["0", "1", "10", "127", "192", "255", "256", "99"])
            .to_owned()
    };
    let group = |r: &mut Random| format!("{:x}", r.next() as u16 >> r.below(16));
    let (address, most) = match r.below(4) {
        0 | 1 => (
            format!("{}.{}.{}.{}", octet(r), octet(r), octet(r), octet(r)),
            34,
        ),
        2 => ((0..8).map(|_| group(r)).collect::<Vec<_>>().join(":"), 130),
        _ => {
            let before: Vec<_> = (0..r.below(5)).map(|_| group(r)).collect();
            let after: Vec<_> = (0..r.below(4)).map(|_| group(r)).collect();
            let tail = if r.one_in(6) { ":1.2.3.4" } else { "" };
            (
                format!("{}::{}{}", before.join(":"), after.join(":"), tail),
                130,
            )
        }
    };
    if r.one_in(2) {
        address
    } else {
        format!("{address}/{}", r.below(most))
    }
}

pub fn cidr(r: &mut Random) -> String {
    match r.below(4) {
        0 => inet(r),
        1 => {
            let bits = r.below(33);
            let mask = u32::MAX.checked_shl(32 - bits as u32).unwrap_or(0);
            format!(
                "{}/{bits}",
                std::net::Ipv4Addr::from_bits(r.next() as u32 & mask)
            )
        }
        2 => {
            let bits = r.below(129);
            let mask = u128::MAX.checked_shl(128 - bits as u32).unwrap_or(0);
            let address = u128::from(r.next()) << 64 | u128::from(r.next());
            format!("{}/{bits}", std::net::Ipv6Addr::from_bits(address & mask))
        }
        _ => inet(r).split('/').next().unwrap_or_default().to_owned(),
    }
}

pub fn label(r: &mut Random) -> String {
    r.pick(&["ok", "not ok", "Ok", "", "ä", "it's", "nok", " ok", "OK"])
        .to_owned()
}

pub fn array(r: &mut Random, element: fn(&mut Random) -> String) -> String {
    let space = |r: &mut Random| r.pick(&["", "", "", " ", "\t"]);
    let items: Vec<String> = (0..r.below(5))
        .map(|_| {
            let item = match r.below(4) {
                0 => r.pick(&["NULL", "null", "\"NULL\""]).to_owned(),
                1 => element(r),
                _ => format!(
                    "\"{}\"",
                    element(r).replace('\\', "\\\\").replace('"', "\\\"")
                ),
            };
            format!("{}{item}{}", space(r), space(r))
        })
        .collect();
    format!("{}{{{}}}{}", space(r), items.join(","), space(r))
}
