//! Specs that cost to read, as they were read: queries of the user's own are parsed once for each generation of a model, not
//! in every turn. All others are read anew, for text takes a tenth of the memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::api::{Invalid, ValidSpec};

/// What a stored spec came to.
pub type Read = Arc<Result<ValidSpec, Vec<Invalid>>>;

/// By uid: the generation, and what its spec came to.
#[derive(Default)]
pub struct Specs(Mutex<HashMap<String, (i64, Read)>>);

impl Specs {
    /// Reads the spec of a model, or gives what was read of this generation.
    pub fn read(&self, uid: &str, generation: i64, name: &str, stored: &Value) -> Read {
        let has_queries = stored.pointer("/monitoring/extraRules").is_some_and(Value::is_array);
        if !has_queries {
            self.forget(uid);
            return Arc::new(ValidSpec::parse(name, stored));
        }
        let known = self.lock().get(uid).filter(|(known, _)| *known == generation).map(|(_, read)| read.clone());
        known.unwrap_or_else(|| {
            let read = Arc::new(ValidSpec::parse(name, stored));
            self.lock().insert(uid.to_owned(), (generation, read.clone()));
            read
        })
    }

    /// Forgets a model that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (i64, Read)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ruled(expression: &str) -> Value {
        let rules = json!([{"record": "grapes", "expr": expression}]);
        json!({"image": {"repository": "vintner/wine"}, "monitoring": {"extraRules": rules}})
    }

    #[test]
    fn a_spec_with_queries_is_read_once_for_each_generation() {
        let specs = Specs::default();
        let first = specs.read("1", 1, "grape", &ruled("up"));
        assert!(first.is_ok());
        assert!(Arc::ptr_eq(&first, &specs.read("1", 1, "grape", &ruled("up"))));
        assert!(!Arc::ptr_eq(&first, &specs.read("2", 1, "grape", &ruled("up"))), "another model's");
        let wrong = specs.read("1", 2, "grape", &ruled("rate("));
        assert!(wrong.is_err());
        assert!(Arc::ptr_eq(&wrong, &specs.read("1", 2, "grape", &ruled("rate("))));
    }

    #[test]
    fn nothing_is_kept_of_models_without_queries_or_that_are_gone() {
        let specs = Specs::default();
        specs.read("1", 1, "grape", &ruled("up"));
        specs.read("1", 2, "grape", &json!({"image": {"repository": "vintner/wine"}}));
        specs.read("2", 1, "grape", &ruled("up"));
        specs.forget("2");
        assert!(specs.lock().is_empty());
    }
}
