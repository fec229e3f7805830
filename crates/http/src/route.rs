//! The table of routes and how a path finds its route.
//!
//! A pattern is literal segments, `{name}` for one segment and `{name*}` for one or more (ids with slashes); the most
//! literal match wins, so an action at the end of a path beats an id that contains it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;

use crate::access::{Access, Forward};
use crate::error::ApiError;
use crate::home::Home;
use crate::reply::Reply;
use crate::request::Request;

/// A handler's future.
pub type Answer = BoxFuture<'static, Result<Reply, ApiError>>;
type Handler<S> = Box<dyn Fn(Arc<S>, Request) -> Answer + Send + Sync>;

/// The methods a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET alone.
    Get,
    /// GET and HEAD.
    GetHead,
    /// PUT and POST alike.
    Write,
    /// PUT alone.
    Put,
    /// POST alone.
    Post,
    /// DELETE.
    Delete,
    /// Whatever comes.
    Any,
}

impl Methods {
    fn include(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET,
            Self::GetHead => method == Method::GET || method == Method::HEAD,
            Self::Write => method == Method::PUT || method == Method::POST,
            Self::Put => method == Method::PUT,
            Self::Post => method == Method::POST,
            Self::Delete => method == Method::DELETE,
            Self::Any => true,
        }
    }
}

/// One entry of the table. It cannot be made without saying who may call it and which agent answers.
pub struct Route<S> {
    /// The methods it answers.
    pub methods: Methods,
    /// Its pattern.
    pub pattern: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether the handler holds callers to the rule, because other refusals come first or it knows better what is asked for.
    pub late: bool,
    /// Which agent answers.
    pub forward: Forward,
    /// How requests say which region answers; those to routes that this agent always answers itself do not.
    pub home: Home,
    /// Whether browsers of other origins may call it.
    pub cors: bool,
    /// Whether replies are compressed on request.
    pub compressed: bool,
    /// Refuses callers with an answer that has begun: a stream that ends at once.
    pub refuses_late: bool,
    /// Open to every task that shows its identity.
    pub open_to_tasks: bool,
    /// What it would serve that is not part of this version: it answers nothing else, to everybody.
    pub unsupported: Option<&'static str>,
    pub(crate) handler: Handler<S>,
    segments: Vec<Segment>,
}

enum Segment {
    Literal(&'static str),
    One(&'static str),
    Rest(&'static str),
}

impl<S> Route<S> {
    /// An entry.
    pub fn new<F, Fut>(methods: Methods, pattern: &'static str, access: Access, forward: Forward, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let segments = pattern
            .split('/')
            .skip(1)
            .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None => Segment::Literal(part),
                Some(name) => name.strip_suffix('*').map_or(Segment::One(name), Segment::Rest),
            })
            .collect();
        let handler: Handler<S> = Box::new(move |state, request| Box::pin(handler(state, request)));
        Self {
            methods,
            pattern,
            access,
            late: false,
            forward,
            home: Home::Asked,
            cors: false,
            compressed: true,
            refuses_late: false,
            open_to_tasks: false,
            unsupported: None,
            handler,
            segments,
        }
    }

    /// An entry for what is not part of this version, which says so.
    pub fn missing(pattern: &'static str, feature: &'static str) -> Self {
        let answer = move |_: Arc<S>, _: Request| async move {
            let text = format!("{feature}: not part of this version of Drover");
            Err(ApiError::new(http::StatusCode::NOT_IMPLEMENTED, text))
        };
        Self { unsupported: Some(feature), ..Self::new(Methods::Any, pattern, Access::Public, Forward::Local, answer) }
    }

    /// The same where upstream refuses callers who may not do it: they learn nothing else here either.
    #[must_use]
    pub fn held_to(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// With a region that more than the query decides about.
    #[must_use]
    pub fn home(mut self, home: Home) -> Self {
        self.home = home;
        self
    }

    /// Marked as what is not part of this version.
    #[must_use]
    pub fn without(mut self, feature: &'static str) -> Self {
        self.unsupported = Some(feature);
        self
    }

    /// Open to every task that shows its identity (KEY-038).
    #[must_use]
    pub fn open_to_tasks(mut self) -> Self {
        self.open_to_tasks = true;
        self
    }

    /// Callable from other origins.
    #[must_use]
    pub fn cors(mut self) -> Self {
        self.cors = true;
        self
    }

    /// Held to its rule by the handler, with [`Request::permit`] or by what [`Request::caller`] may do.
    #[must_use]
    pub fn late(mut self) -> Self {
        self.late = true;
        self
    }

    /// Answers callers who may not call it with a stream that ends at once, as clients of the stream are used to.
    #[must_use]
    pub fn refusing_late(mut self) -> Self {
        self.refuses_late = true;
        self
    }

    /// Whether this route or one like it answers a method.
    pub fn answers(&self, method: &Method) -> bool {
        self.methods.include(method)
    }

    /// Never compressed.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compressed = false;
        self
    }

    /// The parameters if the path fits, and how literal the fit is.
    fn fit(&self, path: &[&str]) -> Option<(usize, Vec<(&'static str, String)>)> {
        let rest = self.segments.iter().position(|segment| matches!(segment, Segment::Rest(_)));
        let (before, after) = match rest {
            None if path.len() != self.segments.len() => return None,
            None => (self.segments.len(), 0),
            Some(_) if path.len() < self.segments.len() => return None,
            Some(position) => (position, self.segments.len() - position - 1),
        };
        let ends = || {
            let last = self.segments[self.segments.len() - after..].iter().zip(&path[path.len() - after..]);
            self.segments[..before].iter().zip(path).chain(last)
        };
        let mut literal = 0;
        for (segment, part) in ends() {
            match segment {
                Segment::Literal(text) if text == part => literal += 1,
                Segment::One(_) => {}
                Segment::Literal(_) | Segment::Rest(_) => return None,
            }
        }
        let mut parameters = Vec::new();
        for (segment, part) in ends() {
            if let Segment::One(name) = segment {
                parameters.push((*name, (*part).to_owned()));
            }
        }
        if let Some(Segment::Rest(name)) = rest.map(|position| &self.segments[position]) {
            parameters.push((name, path[before..path.len() - after].join("/")));
        }
        Some((literal, parameters))
    }
}

/// What a path and method lead to.
pub enum Found<'a, S> {
    /// A route with the parameters of the path.
    Route(&'a Route<S>, Vec<(&'static str, String)>),
    /// The path is known, the method is not. Whether browsers of other origins may ask.
    WrongMethod {
        /// Whether a route of the path is open to other origins.
        cors: bool,
    },
    /// Another path to go to.
    Redirect(String),
    /// Below a known path.
    NoResource {
        /// Whether a route of the subtree is open to other origins.
        cors: bool,
    },
    /// Nothing near.
    Nothing,
}

/// All routes.
pub struct Table<S> {
    routes: Vec<Route<S>>,
    /// Positions of the routes whose patterns begin with these two literal segments, in order.
    by_start: BTreeMap<(&'static str, &'static str), Vec<usize>>,
    /// Positions of the other routes.
    others: Vec<usize>,
    subtrees: Vec<&'static str>,
    own: Vec<&'static str>,
}

impl<S> Table<S> {
    /// A table; every pattern's part before its first parameter is a subtree whose unknown paths are "not found".
    pub fn new(routes: Vec<Route<S>>) -> Self {
        let mut subtrees: Vec<&'static str> =
            routes.iter().filter_map(|route| route.pattern.find('{').map(|end| &route.pattern[..end])).collect();
        subtrees.sort_unstable();
        subtrees.dedup();
        let (mut by_start, mut others) = (BTreeMap::<_, Vec<usize>>::new(), Vec::new());
        for (position, route) in routes.iter().enumerate() {
            match route.segments.as_slice() {
                [Segment::Literal(first), Segment::Literal(second), ..] => by_start.entry((*first, *second)).or_default().push(position),
                _ => others.push(position),
            }
        }
        Self { routes, by_start, others, subtrees, own: Vec::new() }
    }

    /// With a subtree of its own, ending in a slash.
    #[must_use]
    pub fn subtree(mut self, path: &'static str) -> Self {
        self.subtrees.push(path);
        self
    }

    /// With a subtree whose path without the slash is not one of its parent's parameters.
    #[must_use]
    pub fn distinct(mut self, path: &'static str) -> Self {
        self.own.push(path);
        self
    }

    /// Every route.
    pub fn routes(&self) -> &[Route<S>] {
        &self.routes
    }

    /// Finds what answers a decoded path.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, S> {
        if self.own.iter().any(|subtree| subtree.strip_suffix('/') == Some(path)) {
            return Found::Redirect(format!("{path}/"));
        }
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut best: Option<usize> = None;
        let mut fits = Vec::new();
        let start = (segments.first().copied().unwrap_or_default(), segments.get(1).copied().unwrap_or_default());
        let near = self.by_start.get(&start).map(Vec::as_slice).unwrap_or_default();
        for route in near.iter().chain(&self.others).map(|position| &self.routes[*position]) {
            if let Some((literal, parameters)) = route.fit(&segments) {
                if best.is_none_or(|best| literal > best) {
                    best = Some(literal);
                    fits.clear();
                }
                if best == Some(literal) {
                    fits.push((route, parameters));
                }
            }
        }
        if !fits.is_empty() {
            let cors = fits.iter().any(|(route, _)| route.cors);
            let answers = fits.into_iter().find(|(route, _)| route.methods.include(method));
            return answers.map_or(Found::WrongMethod { cors }, |(route, parameters)| Found::Route(route, parameters));
        }
        if self.subtrees.iter().any(|subtree| subtree.strip_suffix('/') == Some(path)) {
            return Found::Redirect(format!("{path}/"));
        }
        match self.subtrees.iter().find(|subtree| path.starts_with(**subtree)) {
            Some(subtree) => Found::NoResource { cors: self.routes.iter().any(|route| route.cors && route.pattern.starts_with(subtree)) },
            None => Found::Nothing,
        }
    }
}

/// The path without empty, `.` and `..` segments; a final slash stays.
pub fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(methods: Methods, pattern: &'static str) -> Route<()> {
        Route::new(methods, pattern, Access::Public, Forward::Local, |_, _| async { Ok(Reply::empty()) })
    }

    fn table() -> Table<()> {
        Table::new(vec![
            route(Methods::Get, "/v1/jobs"),
            route(Methods::Write, "/v1/jobs"),
            route(Methods::Get, "/v1/job/{job_id*}"),
            route(Methods::Write, "/v1/job/{job_id*}/plan"),
            route(Methods::Write, "/v1/job/{job_id*}/versions/{tag}/tag"),
            route(Methods::Get, "/v1/node/{node_id}"),
            route(Methods::GetHead, "/v1/volumes"),
            route(Methods::Get, "/v1/allocation/{alloc_id}").cors(),
        ])
    }

    fn shown(method: Method, path: &str) -> String {
        match table().find(&method, path) {
            Found::Route(route, parameters) => format!("{} {parameters:?}", route.pattern),
            Found::WrongMethod { cors } => format!("405 {cors}"),
            Found::Redirect(to) => format!("307 {to}"),
            Found::NoResource { cors } => format!("404 resource {cors}"),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn an_action_at_the_end_beats_an_id_with_slashes() {
        assert_eq!(shown(Method::GET, "/v1/job/a/b"), "/v1/job/{job_id*} [(\"job_id\", \"a/b\")]");
        assert_eq!(shown(Method::PUT, "/v1/job/a/b/plan"), "/v1/job/{job_id*}/plan [(\"job_id\", \"a/b\")]");
        assert_eq!(shown(Method::GET, "/v1/job/a/plan"), "405 false");
        assert_eq!(
            shown(Method::POST, "/v1/job/a/versions/v1/tag"),
            "/v1/job/{job_id*}/versions/{tag}/tag [(\"tag\", \"v1\"), (\"job_id\", \"a\")]"
        );
    }

    #[test]
    fn unknown_paths_and_methods_are_told_apart() {
        assert_eq!(shown(Method::HEAD, "/v1/jobs"), "405 false");
        assert_eq!(shown(Method::HEAD, "/v1/volumes"), "/v1/volumes []");
        assert_eq!(shown(Method::GET, "/v1/node"), "307 /v1/node/");
        assert_eq!(shown(Method::GET, "/v1/allocation/x/nope"), "404 resource true");
        assert_eq!(shown(Method::GET, "/v1/nothing"), "404");
        assert_eq!(shown(Method::GET, "/v1/jobs/"), "404");
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, cleaned) in [
            ("/v1//jobs", "/v1/jobs"),
            ("/v1/job/../jobs", "/v1/jobs"),
            ("/../..", "/"),
            ("/v1/node/", "/v1/node/"),
            ("", "/"),
            ("/v1/./jobs", "/v1/jobs"),
        ] {
            assert_eq!(clean(path), cleaned);
        }
    }
}
