//! Access control: the first token, and objects written and deleted.

use std::sync::Arc;

use drover_model::AclToken;
use drover_model::acl::{AclNames, AclObjects, PolicyRow};

use crate::event::{EventKind, Payload};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

impl Transaction<'_> {
    pub(crate) fn acl_bootstrap(&mut self, token: AclToken, reset: u64) -> Result<(), ApplyError> {
        let done = self.state.acl.bootstrap_index;
        if done != reset {
            return Err(ApplyError::Refused(format!("ACL bootstrap already done (reset index: {done})")));
        }
        self.state.acl.bootstrap_index = self.index();
        self.put_token(token);
        self.touch(Table::AclTokens);
        Ok(())
    }

    fn put_token(&mut self, mut token: AclToken) {
        let index = self.index();
        token.create_index = self.state.acl_token(&token.accessor).map_or(index, |old| old.create_index);
        token.modify_index = index;
        let token = Arc::new(token);
        self.state.acl.put_token(Arc::clone(&token));
        self.event(EventKind::AclTokenUpserted, Payload::AclToken(token));
    }

    pub(crate) fn upsert_acl(&mut self, objects: AclObjects) -> Result<(), ApplyError> {
        let index = self.index();
        let AclObjects { policies, tokens, roles, auth_methods, binding_rules, one_time_tokens } = objects;
        for role in &roles {
            if self.state.acl_role_by_name(&role.name).is_some_and(|other| other.id != role.id) {
                return Err(ApplyError::Refused(format!("role with name {} already exists", role.name)));
            }
            if let Some(name) = role.policies.iter().find(|name| self.state.acl_policy(name).is_none()) {
                return Err(ApplyError::Refused(format!("cannot find policy {name}")));
            }
        }
        for token in &tokens {
            if self.state.acl_token_by_secret(&token.secret).is_some_and(|other| other.accessor != token.accessor) {
                return Err(ApplyError::Refused("secret id is in use by another token".to_owned()));
            }
        }
        for method in auth_methods.iter().filter(|method| method.default) {
            if let Some(other) = self.state.auth_methods().find(|other| other.default && other.name != method.name) {
                return Err(ApplyError::Refused(format!("default method already exists: {}", other.name)));
            }
        }
        for rule in &binding_rules {
            let known = self.state.auth_method(&rule.auth_method).is_some();
            if !known && auth_methods.iter().all(|method| method.name != rule.auth_method) {
                return Err(ApplyError::Refused(format!("ACL auth method {} not found", rule.auth_method)));
            }
        }
        for (any, table) in [
            (!policies.is_empty(), Table::AclPolicies),
            (!tokens.is_empty(), Table::AclTokens),
            (!roles.is_empty(), Table::AclRoles),
            (!auth_methods.is_empty(), Table::AuthMethods),
            (!binding_rules.is_empty(), Table::BindingRules),
            (!one_time_tokens.is_empty(), Table::OneTimeTokens),
        ] {
            if any {
                self.touch(table);
            }
        }
        for mut policy in policies {
            policy.create_index = self.state.acl_policy(&policy.name).map_or(index, |old| old.policy.create_index);
            policy.modify_index = index;
            let row = Arc::new(PolicyRow::new(policy));
            self.state.acl.put_policy(Arc::clone(&row));
            self.event(EventKind::AclPolicyUpserted, Payload::AclPolicy(row));
        }
        for token in tokens {
            self.put_token(token);
        }
        for mut role in roles {
            role.create_index = self.state.acl_role(&role.id).map_or(index, |old| old.create_index);
            role.modify_index = index;
            let role = Arc::new(role);
            self.state.acl.roles.insert(Arc::from(role.id.as_str()), Arc::clone(&role));
            self.event(EventKind::AclRoleUpserted, Payload::AclRole(role));
        }
        for mut method in auth_methods {
            method.create_index = self.state.auth_method(&method.name).map_or(index, |old| old.create_index);
            method.modify_index = index;
            let method = Arc::new(method);
            self.state.acl.auth_methods.insert(Arc::from(method.name.as_str()), Arc::clone(&method));
            self.event(EventKind::AclAuthMethodUpserted, Payload::AclAuthMethod(method));
        }
        for mut rule in binding_rules {
            rule.create_index = self.state.binding_rule(&rule.id).map_or(index, |old| old.create_index);
            rule.modify_index = index;
            let rule = Arc::new(rule);
            self.state.acl.binding_rules.insert(Arc::from(rule.id.as_str()), Arc::clone(&rule));
            self.event(EventKind::AclBindingRuleUpserted, Payload::AclBindingRule(rule));
        }
        for mut token in one_time_tokens {
            (token.create_index, token.modify_index) = (index, index);
            self.state.acl.one_time_tokens.insert(Arc::from(token.secret.as_str()), Arc::new(token));
        }
        Ok(())
    }

    pub(crate) fn delete_acl(&mut self, names: &AclNames) -> Result<(), ApplyError> {
        let AclNames { policies, tokens, roles, auth_methods, binding_rules, one_time_tokens } = names;
        if one_time_tokens.iter().any(|secret| self.state.one_time_token(secret).is_none()) {
            return Err(ApplyError::NotFound("Permission denied".to_owned()));
        }
        let acl = &mut self.state.acl;
        let mut gone: Vec<(EventKind, Payload)> = Vec::new();
        let removed = policies.iter().filter_map(|name| acl.policies.remove(name.as_str()));
        gone.extend(removed.map(|row| (EventKind::AclPolicyDeleted, Payload::AclPolicy(row))));
        let removed = tokens.iter().filter_map(|accessor| acl.remove_token(accessor));
        gone.extend(removed.map(|token| (EventKind::AclTokenDeleted, Payload::AclToken(token))));
        let removed = roles.iter().filter_map(|id| acl.roles.remove(id.as_str()));
        gone.extend(removed.map(|role| (EventKind::AclRoleDeleted, Payload::AclRole(role))));
        let removed = auth_methods.iter().filter_map(|name| acl.auth_methods.remove(name.as_str()));
        gone.extend(removed.map(|method| (EventKind::AclAuthMethodDeleted, Payload::AclAuthMethod(method))));
        let removed = binding_rules.iter().filter_map(|id| acl.binding_rules.remove(id.as_str()));
        gone.extend(removed.map(|rule| (EventKind::AclBindingRuleDeleted, Payload::AclBindingRule(rule))));
        one_time_tokens.iter().for_each(|secret| drop(acl.one_time_tokens.remove(secret.as_str())));
        gone.into_iter().for_each(|(kind, payload)| self.event(kind, payload));
        for (names, table) in [
            (policies, Table::AclPolicies),
            (tokens, Table::AclTokens),
            (roles, Table::AclRoles),
            (auth_methods, Table::AuthMethods),
            (binding_rules, Table::BindingRules),
            (one_time_tokens, Table::OneTimeTokens),
        ] {
            if !names.is_empty() {
                self.touch(table);
            }
        }
        Ok(())
    }
}
