//! Pages of lists: order, filter, inclusive tokens, and the token of the next page.

use crate::error::ApiError;
use crate::query::PageOptions;

/// What a list is ordered by, and how a token spells it.
pub trait Key: Ord + Sized {
    /// The token that names an item with this key.
    fn token(&self) -> String;
    /// The key that a token names; `None` if no item could have it.
    fn parse(token: &str) -> Option<Self>;
}

/// `<namespace>.<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespacedKey(pub String, pub String);

impl Key for NamespacedKey {
    fn token(&self) -> String {
        format!("{}.{}", self.0, self.1)
    }
    fn parse(token: &str) -> Option<Self> {
        let (namespace, id) = token.split_once('.').unwrap_or((token, ""));
        Some(Self(namespace.to_owned(), id.to_owned()))
    }
}

/// `<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdKey(pub String);

impl Key for IdKey {
    fn token(&self) -> String {
        self.0.clone()
    }
    fn parse(token: &str) -> Option<Self> {
        Some(Self(token.to_owned()))
    }
}

/// `<create index>.<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CreateKey(pub u64, pub String);

impl Key for CreateKey {
    fn token(&self) -> String {
        format!("{}.{}", self.0, self.1)
    }
    fn parse(token: &str) -> Option<Self> {
        let (index, id) = token.split_once('.')?;
        Some(Self(index.parse().ok()?, id.to_owned()))
    }
}

/// `<modify index>`; the id only makes the order total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModifyKey(pub u64, pub String);

impl Key for ModifyKey {
    fn token(&self) -> String {
        self.0.to_string()
    }
    fn parse(token: &str) -> Option<Self> {
        Some(Self(token.parse().ok()?, String::new()))
    }
}

/// `<modify index>`, the newest first; the id only makes the order total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecentKey(pub std::cmp::Reverse<u64>, pub String);

impl Key for RecentKey {
    fn token(&self) -> String {
        self.0.0.to_string()
    }
    fn parse(token: &str) -> Option<Self> {
        Some(Self(std::cmp::Reverse(token.parse().ok()?), String::new()))
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next one starts.
    pub next_token: Option<String>,
}

/// A condition on items, compiled from a filter expression.
pub type Condition<'a, T> = &'a dyn Fn(&T) -> Result<bool, ApiError>;

/// Cuts a page out of items, which may come in any order.
///
/// Items that the condition rejects are not counted. A token that could name nothing gives an empty page.
///
/// # Errors
/// As the condition has them.
pub fn page<T, K: Key>(
    items: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
    condition: Option<Condition<'_, T>>,
    options: &PageOptions,
) -> Result<Page<T>, ApiError> {
    let start = match options.next_token.as_str() {
        "" => None,
        token => match K::parse(token) {
            Some(start) => Some(start),
            None => return Ok(Page { items: Vec::new(), next_token: None }),
        },
    };
    let mut keyed: Vec<(K, T)> = items.map(|item| (key(&item), item)).collect();
    keyed.retain(|(key, _)| match &start {
        None => true,
        // A token without the last part of the key (a bare modify index) includes every item that shares it.
        Some(start) if options.reverse => *key <= *start || key.token() == start.token(),
        Some(start) => *key >= *start,
    });
    if options.reverse {
        keyed.sort_by(|(left, _), (right, _)| right.cmp(left));
    } else {
        keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
    let limit = match options.per_page {
        0 => usize::MAX,
        per_page => usize::try_from(per_page).unwrap_or(0),
    };
    let mut page = Page { items: Vec::new(), next_token: None };
    for (key, item) in keyed {
        if let Some(condition) = condition
            && !condition(&item)?
        {
            continue;
        }
        if page.items.len() >= limit {
            page.next_token = Some(key.token());
            break;
        }
        page.items.push(item);
    }
    Ok(page)
}

/// Cuts a page out of items that come in order, as far as `together` says: those that it puts together are ordered here. Looks no
/// further than to the first item of the next page.
///
/// # Errors
/// As the condition has them.
pub fn page_in_order<T, K: Key>(
    items: impl Iterator<Item = T>,
    together: impl Fn(&T, &T) -> bool,
    key: impl Fn(&T) -> K,
    condition: Option<Condition<'_, T>>,
    options: &PageOptions,
) -> Result<Page<T>, ApiError> {
    let mut items = items.peekable();
    let mut cut = Page { items: Vec::new(), next_token: None };
    let limit = match options.per_page {
        0 => usize::MAX,
        per_page => usize::try_from(per_page).unwrap_or(0),
    };
    while let Some(first) = items.next() {
        let mut group = vec![first];
        while let Some(next) = items.next_if(|next| together(&group[0], next)) {
            group.push(next);
        }
        // What came before on the page is enough; only this group's order and tokens are still to be worked out.
        let wanted = PageOptions { per_page: 0, filter: String::new(), ..options.clone() };
        for item in page(group.into_iter(), &key, None, &wanted)?.items {
            if let Some(condition) = condition
                && !condition(&item)?
            {
                continue;
            }
            if cut.items.len() >= limit {
                cut.next_token = Some(key(&item).token());
                return Ok(cut);
            }
            cut.items.push(item);
        }
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(per_page: i32, next_token: &str, reverse: bool) -> PageOptions {
        PageOptions { per_page, next_token: next_token.to_owned(), reverse, filter: String::new() }
    }

    fn cut(options: &PageOptions) -> (Vec<u64>, Option<String>) {
        let even: Condition<'_, u64> = &|index| Ok(index % 2 == 0);
        let key = |index: &u64| CreateKey(*index, format!("id{index}"));
        let page = page([12, 4, 3, 2, 8].into_iter(), key, Some(even), options).unwrap();
        (page.items, page.next_token)
    }

    #[test]
    fn pages_follow_one_another_and_are_full() {
        assert_eq!(cut(&options(0, "", false)), (vec![2, 4, 8, 12], None));
        assert_eq!(cut(&options(3, "", false)), (vec![2, 4, 8], Some("12.id12".into())));
        assert_eq!(cut(&options(3, "12.id12", false)), (vec![12], None));
        assert_eq!(cut(&options(2, "5.gone", false)), (vec![8, 12], None));
        assert_eq!(cut(&options(2, "", true)), (vec![12, 8], Some("4.id4".into())));
        assert_eq!(cut(&options(2, "4.id4", true)), (vec![4, 2], None));
    }

    #[test]
    fn what_comes_in_order_is_cut_alike_and_read_no_further_than_needed() {
        let items = [2, 3, 4, 8, 12, 13];
        let even: Condition<'_, u64> = &|index| Ok(index % 2 == 0);
        let key = |index: &u64| CreateKey(*index / 4, format!("id{:02}", 20 - index));
        let together = |left: &u64, right: &u64| left / 4 == right / 4;
        for wanted in
            [options(0, "", false), options(1, "", false), options(3, "", false), options(2, "1.id12", false), options(2, "x", false)]
        {
            let in_order = page_in_order(items.into_iter(), together, key, Some(even), &wanted).unwrap();
            assert_eq!(in_order, page(items.into_iter(), key, Some(even), &wanted).unwrap(), "{wanted:?}");
        }
        for wanted in [options(0, "", true), options(2, "", true), options(2, "2.id12", true)] {
            let in_order = page_in_order(items.into_iter().rev(), together, key, Some(even), &wanted).unwrap();
            assert_eq!(in_order, page(items.into_iter(), key, Some(even), &wanted).unwrap(), "{wanted:?}");
        }
        let mut read = 0;
        let counted = items.into_iter().inspect(|_| read += 1);
        let cut = page_in_order(counted, together, key, None, &options(1, "", false)).unwrap();
        assert_eq!((cut.items, cut.next_token.as_deref(), read), (vec![3], Some("0.id18"), 3));
    }

    #[test]
    fn an_unusable_token_and_a_negative_page_size_give_nothing() {
        assert_eq!(cut(&options(2, "x", false)), (vec![], None));
        assert_eq!(cut(&options(-1, "", false)), (vec![], Some("2.id2".into())));
    }
}
