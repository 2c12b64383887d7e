//! Reads the properties of an object out of one `GetAll`. A property that is missing or of another type is an
//! error that names it: it is never taken for an empty one.

use crate::error::Error;
use std::collections::{BTreeMap, HashMap};
use zbus::OwnedVariant;

/// All properties of one interface of one object.
pub(crate) struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    /// What `GetAll` answered.
    pub(crate) fn new(values: HashMap<String, OwnedVariant>) -> Self {
        Self(values)
    }

    fn get<T: TryFrom<OwnedVariant>>(&self, name: &str) -> Result<T, Error> {
        let value = self.0.get(name).ok_or_else(|| Error::Mismatch(format!("property {name} is missing")))?;
        let value = value.try_clone()?;
        T::try_from(value).map_err(|_| Error::Mismatch(format!("property {name} is of another type")))
    }

    /// A text.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        self.get(name)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        self.get(name)
    }

    /// A list of anything.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn list<T>(&self, name: &str) -> Result<Vec<T>, Error>
    where
        Vec<T>: TryFrom<OwnedVariant>,
    {
        self.get(name)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        self.get(name)
    }

    /// A small number.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn small(&self, name: &str) -> Result<u32, Error> {
        self.get(name)
    }

    /// A size or time.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn large(&self, name: &str) -> Result<u64, Error> {
        self.get(name)
    }

    /// Numbers by word, in the order of the words.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn counts(&self, name: &str) -> Result<BTreeMap<String, u32>, Error> {
        Ok(self.get::<HashMap<String, u32>>(name)?.into_iter().collect())
    }

    /// Numbers by number.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn numbers(&self, name: &str) -> Result<HashMap<u32, u32>, Error> {
        self.get(name)
    }
}
