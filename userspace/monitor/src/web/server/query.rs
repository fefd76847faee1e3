//! The query of a request's address. Strict: a key that is not known, or told twice, is a mistake that is told, not a wish that is ignored.

/// The values of `keys`, in their order; or what is wrong, in words.
pub(super) fn read<const N: usize>(
    query: Option<&str>,
    keys: [&str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let Some(place) = keys.iter().position(|known| *known == key).and_then(|at| values.get_mut(at))
        else {
            let known =
                if N == 0 { "there are none".to_owned() } else { format!("known: {}", keys.join(", ")) };
            return Err(format!("unknown parameter; {known}"));
        };
        let value = decoded(value).ok_or_else(|| format!("{key}: not valid percent-encoded UTF-8"))?;
        if place.replace(value).is_some() {
            return Err(format!("{key}: given twice"));
        }
    }
    Ok(values)
}

/// A whole number within bounds; `None` where it is not given.
pub(super) fn number(key: &str, value: Option<&str>, low: u32, high: u32) -> Result<Option<u32>, String> {
    let Some(value) = value else { return Ok(None) };
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if is_plain && (low..=high).contains(&number) => Ok(Some(number)),
        _ => Err(format!("{key}: must be a whole number from {low} to {high}")),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next()?)? * 16 + digit(bytes.next()?)?).ok()?,
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let read = |query| read(Some(query), ["name", "last"]);
        assert_eq!(read("name=a%2Fb+c%C3%A9&last=3").unwrap(), [Some("a/b cé".into()), Some("3".into())]);
        assert_eq!(read("").unwrap(), [None, None]);
        for bad in ["name=%", "name=%4", "name=%zz", "name=%ff", "other=1", "name=a&name=b", "last=1&nam=2"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_plain_and_within_bounds() {
        assert_eq!(number("n", Some("7"), 1, 9), Ok(Some(7)));
        assert_eq!(number("n", None, 1, 9), Ok(None));
        for bad in ["", "0", "10", "+3", "-1", "3.0", " 3", "99999999999"] {
            assert!(number("n", Some(bad), 1, 9).is_err(), "{bad}");
        }
    }
}
