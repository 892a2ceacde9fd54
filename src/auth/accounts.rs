//! Accounts at Sync and who uses them.

use std::{collections::HashMap, fmt, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::{Credential, Principal};
use crate::digest;

/// An account: the field that its calls carry, and the subjects that use it.
#[derive(Clone)]
pub struct SyncAccount {
    /// A label for people; never a part of a key.
    pub name: String,
    /// The field that carries the credential.
    pub header: HeaderName,
    /// The credential.
    pub value: HeaderValue,
    /// Subjects; `"*"` is everyone not named elsewhere.
    pub subjects: Vec<String>,
}

/// Which account a principal uses.
#[derive(Debug)]
pub(super) struct Accounts {
    by_subject: HashMap<String, Arc<Assigned>, foldhash::fast::RandomState>,
    everyone_else: Option<Arc<Assigned>>,
}

/// An account as calls need it.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) header: HeaderName,
    /// Marked sensitive: `Debug` does not show it, HPACK never indexes it.
    pub(super) value: HeaderValue,
    pub(super) credential: Credential,
}

impl SyncAccount {
    /// Whether `subject` uses this account, unless another names it.
    pub(super) fn takes(&self, subject: &str) -> bool {
        self.subjects.iter().any(|it| it == subject || it == "*")
    }

    /// The digest of what a call to `origin` carries for this account.
    pub(super) fn digest(&self, origin: &str) -> digest::Digest {
        digest::of_parts([
            origin.as_bytes(),
            self.header.as_str().as_bytes(),
            self.value.as_bytes(),
        ])
    }
}

impl fmt::Debug for SyncAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncAccount")
            .field("name", &self.name)
            .field("header", &self.header)
            .field("subjects", &self.subjects)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// The accounts for calls to `origin`. Of a subject in two accounts the first counts; the
    /// configuration check does not let that happen.
    pub(super) fn new(accounts: Vec<SyncAccount>, origin: &str) -> Self {
        let mut by_subject = HashMap::default();
        let mut everyone_else = None;
        for account in accounts {
            let assigned = Arc::new(Assigned::new(&account, origin));
            for subject in account.subjects {
                if subject == "*" {
                    everyone_else.get_or_insert_with(|| Arc::clone(&assigned));
                } else {
                    by_subject
                        .entry(subject)
                        .or_insert_with(|| Arc::clone(&assigned));
                }
            }
        }
        Self { by_subject, everyone_else }
    }

    /// The account of `principal`: an exact subject beats `"*"`.
    pub(super) fn of(&self, principal: &Principal) -> Option<&Assigned> {
        principal
            .subject()
            .and_then(|subject| self.by_subject.get(subject))
            .or(self.everyone_else.as_ref())
            .map(|assigned| &**assigned)
    }
}

impl Assigned {
    fn new(account: &SyncAccount, origin: &str) -> Self {
        let (header, mut value) = (account.header.clone(), account.value.clone());
        value.set_sensitive(true);
        let digest = Some(account.digest(origin));
        Self { header, value, credential: Credential { digest, is_account: true } }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Identity, *};

    fn account(value: &'static str, subjects: &[&str]) -> SyncAccount {
        SyncAccount {
            name: "a".into(),
            header: http::header::AUTHORIZATION,
            value: HeaderValue::from_static(value),
            subjects: subjects.iter().map(|&subject| subject.into()).collect(),
        }
    }

    fn principal(subject: &str) -> Principal {
        Principal::Subject(Arc::new(Identity::new("", subject, true, true)))
    }

    #[test]
    fn an_exact_subject_beats_everyone() {
        let accounts = vec![
            account("shared", &["*"]),
            account("fleet", &["billing", "dispatch"]),
            account("own", &["audit"]),
        ];
        let accounts = Accounts::new(accounts, "https://sync");
        for (principal, value) in [
            (principal("billing"), "fleet"),
            (principal("dispatch"), "fleet"),
            (principal("audit"), "own"),
            (principal("Billing"), "shared"),
            (principal("billin"), "shared"),
            (principal("*"), "shared"),
            (Principal::Anyone, "shared"),
        ] {
            let subject = principal.subject().map(str::to_owned);
            assert_eq!(accounts.of(&principal).unwrap().value, value, "{subject:?}");
        }
    }

    #[test]
    fn a_subject_that_nobody_named_has_no_account() {
        let accounts = Accounts::new(vec![account("fleet", &["billing"])], "https://sync");
        assert!(accounts.of(&principal("audit")).is_none());
        assert!(accounts.of(&principal("*")).is_none());
        assert!(accounts.of(&Principal::Anyone).is_none());
    }

    #[test]
    fn a_changed_secret_or_upstream_is_another_credential() {
        let digest = |value, origin| {
            let accounts = Accounts::new(vec![account(value, &["*"])], origin);
            accounts.of(&Principal::Anyone).unwrap().credential
        };
        assert_eq!(digest("a", "https://sync"), digest("a", "https://sync"));
        assert_ne!(digest("a", "https://sync"), digest("b", "https://sync"));
        assert_ne!(digest("a", "https://sync"), digest("a", "https://sync:8443"));
    }

    #[test]
    fn never_prints_a_secret() {
        let account = account("s3cret", &["*"]);
        let printed = format!("{account:?} {:?}", Accounts::new(vec![account.clone()], ""));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
