//! From a request to the bytes of its response: routing, conventions around the handler, encoding.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drover_rt::{Clock, Entropy};
use futures::future::BoxFuture;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, ORIGIN, UPGRADE, VARY,
};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;

use crate::access::{Access, Caller, Forward, Gate, Guard, Object, Way, denied, require};
use crate::compress::Coding;
use crate::error::ApiError;
use crate::home::{Decision, FOR_REGION, Home, Known, no_path};
use crate::json;
use crate::query::Query;
use crate::relay::RELAYED;
use crate::reply::{Body, Payload, Reply};
use crate::request::{Incoming, Request, token_of};
use crate::route::{Found, Route, Table, clean};

/// What the agent's configuration says about its API.
#[derive(Clone, Debug, Default)]
pub struct ApiOptions {
    /// The agent's region.
    pub region: String,
    /// Headers set on every reply.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
}

/// The API of one agent. Clones are cheap.
pub struct Api<S> {
    inner: Arc<Inner<S>>,
    /// Tasks ask: only with a token, whatever policies say, and without compression.
    of_tasks: bool,
}

impl<S> Clone for Api<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), of_tasks: self.of_tasks }
    }
}

struct Inner<S> {
    table: Table<S>,
    state: Arc<S>,
    options: ApiOptions,
    clock: Clock,
    entropy: Entropy,
}

impl<S: Guard> Api<S> {
    /// The API over a state.
    pub fn new(table: Table<S>, state: Arc<S>, options: ApiOptions, clock: Clock, entropy: Entropy) -> Self {
        Self { inner: Arc::new(Inner { table, state, options, clock, entropy }), of_tasks: false }
    }

    /// The same as tasks have it on their sockets.
    #[must_use]
    pub fn for_tasks(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), of_tasks: true }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Answers one request. What is waited for is small: many requests may be held for long.
    pub fn answer<B>(&self, request: http::Request<B>, remote: IpAddr) -> impl Future<Output = Response<Body>> + Send + use<S, B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let (step, outgoing) = if self.of_tasks { self.begin_for_task(request, remote) } else { self.begin(request, remote) };
        let api = self.clone();
        async move {
            let reply = match step {
                Step::Done(reply) => *reply,
                Step::Handler(handling) => handling.end().await.unwrap_or_else(Reply::of_error),
                Step::Elsewhere(answer) => match answer.await {
                    Ok(Elsewhere::Answered(response)) if api.of_tasks => return unvaried(*response),
                    Ok(Elsewhere::Answered(response)) => return *response,
                    Ok(Elsewhere::Here(handling)) => handling.end().await.unwrap_or_else(Reply::of_error),
                    Err(error) => Reply::of_error(error),
                },
            };
            let response = api.finish(reply, outgoing);
            if api.of_tasks { unvaried(response) } else { response }
        }
    }

    /// Lets a request of a task through if it shows a token that somebody has; then it is answered as any other.
    fn begin_for_task<B>(&self, mut request: http::Request<B>, remote: IpAddr) -> (Step, Outgoing)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let api = Self { inner: Arc::clone(&self.inner), of_tasks: false };
        request.headers_mut().remove(ACCEPT_ENCODING);
        let secret = token_of(request.headers()).to_owned();
        let asked = self.inner.state.ask_about(&secret);
        let answer = async move {
            let known = match asked {
                _ if secret.is_empty() => return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized")),
                Some(asked) => asked.await,
                None => api.inner.state.identify(&secret),
            };
            known.map_err(|error| refused_task(&secret, &error))?;
            Ok(Elsewhere::Answered(Box::new(api.answer(request, remote).await)))
        };
        (Step::Elsewhere(Box::pin(answer)), Outgoing { pretty: false, coding: None, cors: None })
    }

    /// Finds out what is asked for, by whom and whether they may, and starts on the answer.
    fn begin<B>(&self, request: http::Request<B>, remote: IpAddr) -> (Step, Outgoing)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let (mut parts, body) = request.into_parts();
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let head = parts.method == Method::HEAD;
        let query = Query::parse(parts.uri.query().unwrap_or(""));
        let wants_pretty = query.find("pretty").is_some_and(|value| value != "0");
        let upgrading = parts.headers.contains_key(UPGRADE);
        let coding = Coding::accepted(&parts.headers).filter(|_| !upgrading);
        let raw_path = parts.uri.path();
        let cleaned = if raw_path == "/" { "/ui/".to_owned() } else { clean(raw_path) };
        if cleaned != raw_path && parts.method != Method::CONNECT {
            let outgoing = Outgoing { pretty: false, coding, cors: None };
            return (Step::done(redirect(&cleaned, parts.uri.query(), head)), outgoing);
        }
        let path = percent_decode_str(raw_path).decode_utf8_lossy().into_owned();
        let cors_headers = |cors: bool| cors.then(|| cors_headers(&parts.method, &parts.headers, &path));
        let mut outgoing = Outgoing { pretty: wants_pretty, coding, cors: None };
        let reply = match self.inner.table.find(&parts.method, &path) {
            Found::Redirect(to) => redirect(&to, parts.uri.query(), head),
            Found::Nothing => Reply::empty().status(StatusCode::NOT_FOUND),
            Found::NoResource { cors } => {
                outgoing.cors = cors_headers(cors);
                Reply::of_error(ApiError::no_resource())
            }
            Found::WrongMethod { cors } => {
                outgoing.cors = cors_headers(cors);
                match &outgoing.cors {
                    Some(preflight) if is_preflight(preflight) => {
                        outgoing.coding = None;
                        Reply::empty().status(StatusCode::NO_CONTENT)
                    }
                    _ => Reply::of_error(wrong_method(&path)),
                }
            }
            Found::Route(route, parameters) => {
                outgoing.cors = cors_headers(route.cors);
                outgoing.coding = coding.filter(|_| route.compressed);
                if outgoing.cors.as_ref().is_some_and(is_preflight) {
                    outgoing.coding = None;
                    Reply::empty().status(StatusCode::NO_CONTENT)
                } else {
                    let body: Incoming = Box::pin(body.map_err(io::Error::other));
                    let mut request = Request {
                        method: parts.method,
                        path,
                        query,
                        headers: copied(&parts.headers),
                        remote,
                        clock: self.inner.clock.clone(),
                        entropy: self.inner.entropy.clone(),
                        concern: drover_server::Concern::All,
                        parameters,
                        gate: Gate::new(route.access, Caller::nobody()),
                        hidden: None,
                        body: Mutex::new(Some(body)),
                        upgrade: Mutex::new(upgrade),
                    };
                    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
                    if self.inner.state.way(route.forward, &request) == Way::Servers {
                        return (Step::Elsewhere(self.pass_on(Way::Servers, target, request)), outgoing);
                    }
                    match self.region_of(route, &request, None) {
                        Ok(Decision::Here) => {}
                        Ok(Decision::There(region)) => {
                            let way = self.inner.state.way_to_region(region);
                            return (Step::Elsewhere(self.pass_on(way, target, request)), outgoing);
                        }
                        Ok(Decision::InBody) => return (Step::Elsewhere(self.read_first(target, request)), outgoing),
                        Err(error) => return (Step::done(Reply::of_error(error)), outgoing),
                    }
                    if let Some(asked) = self.ask_first(route, &request) {
                        return (Step::Elsewhere(self.admit_later(asked, request)), outgoing);
                    }
                    match self.admit(route, &mut request) {
                        Ok(()) => {
                            let step = match self.inner.state.way(route.forward, &request) {
                                Way::Here => Step::Handler(self.handle(route, request)),
                                way => Step::Elsewhere(self.pass_on(way, target, request)),
                            };
                            return (step, outgoing);
                        }
                        Err(_) if route.refuses_late => crate::routes::events::refusal(),
                        Err(error) => Reply::of_error(error),
                    }
                }
            }
        };
        (Step::done(reply), outgoing)
    }

    /// Sends a request to the agent that answers it.
    fn pass_on(&self, way: Way, target: &str, request: Request) -> BoxFuture<'static, Result<Elsewhere, ApiError>> {
        let opening = self.inner.state.open(&way);
        let (api, target) = (self.clone(), target.to_owned());
        Box::pin(async move {
            if way == Way::Servers && request.headers.contains_key(RELAYED) {
                return Err(ApiError::not_found("No path to node"));
            }
            let pipe = match opening.await {
                Ok(pipe) => pipe,
                // The route says it in its own way, after what else is wrong with the request.
                Err(_) if matches!(way, Way::Node(_)) => return api.found(request),
                Err(error) => return Err(error),
            };
            let Request { method, mut headers, body, upgrade, .. } = request;
            if let Way::Region(region) = &way {
                let region = HeaderValue::from_str(region).map_err(|_| no_path())?;
                headers.insert(FOR_REGION, region);
            }
            let (body, upgrade) = (into_inner(body), into_inner(upgrade));
            let response = crate::relay::relay(pipe, &target, (method, headers), body, upgrade).await?;
            Ok(Elsewhere::Answered(Box::new(response)))
        })
    }

    /// Reads the body of a request, which says what region it is for.
    fn read_first(&self, target: &str, mut request: Request) -> BoxFuture<'static, Result<Elsewhere, ApiError>> {
        let (api, target) = (self.clone(), target.to_owned());
        Box::pin(async move {
            let body = request.bytes().await?;
            let decision = api.region_of(api.route(&request)?, &request, Some(&body))?;
            let whole: Incoming = Box::pin(http_body_util::Full::new(body).map_err(|never| match never {}));
            request.body = Mutex::new(Some(whole));
            match decision {
                Decision::There(region) => api.pass_on(api.inner.state.way_to_region(region), &target, request).await,
                Decision::Here | Decision::InBody => {
                    let route = api.route(&request)?;
                    api.admit(route, &mut request)?;
                    Ok(Elsewhere::Here(api.handle(route, request)))
                }
            }
        })
    }

    /// Which region answers a request.
    fn region_of(&self, route: &Route<S>, request: &Request, body: Option<&[u8]>) -> Result<Decision, ApiError> {
        if route.forward == Forward::Local {
            return Ok(Decision::Here);
        }
        let state = &self.inner.state;
        let known = Known {
            own: &self.inner.options.region,
            shared: state.shared_region(),
            others: state.knows_regions(),
            token_is_global: route.home == Home::OfNamedToken && state.token_is_global(request.parameter("accessor_id")),
        };
        known.decide(route.home, request.query.get("region"), &request.headers, body)
    }

    /// Who asks, where only the servers know.
    fn ask_first(&self, route: &Route<S>, request: &Request) -> Option<BoxFuture<'static, Result<Caller, ApiError>>> {
        if route.access == Access::Public { None } else { self.inner.state.ask_about(request.token()) }
    }

    /// Goes on with a request once the servers have told who asks.
    fn admit_later(
        &self,
        asked: BoxFuture<'static, Result<Caller, ApiError>>,
        mut request: Request,
    ) -> BoxFuture<'static, Result<Elsewhere, ApiError>> {
        let api = self.clone();
        Box::pin(async move {
            let caller = asked.await?;
            let route = api.route(&request)?;
            api.hold(route, &mut request, caller)?;
            Ok(Elsewhere::Here(api.handle(route, request)))
        })
    }

    fn route(&self, request: &Request) -> Result<&Route<S>, ApiError> {
        match self.inner.table.find(&request.method, &request.path) {
            Found::Route(route, _) => Ok(route),
            _ => Err(ApiError::no_resource()),
        }
    }

    /// Goes on with a request here after all.
    fn found(&self, request: Request) -> Result<Elsewhere, ApiError> {
        Ok(Elsewhere::Here(self.handle(self.route(&request)?, request)))
    }

    /// Finds out who asks, and holds them to the rule of the route.
    fn admit(&self, route: &Route<S>, request: &mut Request) -> Result<(), ApiError> {
        if route.access == Access::Public {
            return Ok(());
        }
        let caller = self.inner.state.identify(request.token())?;
        self.hold(route, request, caller)
    }

    /// Holds a caller to the rule of the route.
    fn hold(&self, route: &Route<S>, request: &mut Request, caller: Caller) -> Result<(), ApiError> {
        if route.open_to_tasks && caller.rights.workload().is_some() {
            request.gate = Gate::new(Access::Filtered, caller);
            return Ok(());
        }
        request.gate = Gate::new(route.access, caller);
        if route.late || route.access == Access::Filtered {
            return Ok(());
        }
        let own = request.namespace().to_owned();
        let by_id = Object::BY_PARAMETER.into_iter().find_map(|(name, object)| {
            let text = request.parameters.iter().find(|(key, _)| *key == name).map(|(_, text)| text.clone())?;
            Some((name, object, text))
        });
        match (route.access, by_id) {
            (Access::Namespace(_), Some((name, object, id))) => match self.inner.state.namespace_of(object, &id) {
                Some(namespace) if request.gate.allows(&namespace, "") => Ok(()),
                // To a caller who may do it to objects of the namespace asked for, it is as though this one was not there: they are
                // answered as for an id that nothing has.
                Some(_) if request.gate.allows(&own, "") => {
                    let nothing = self.inner.entropy.id::<drover_base::id::Allocation>().to_string();
                    for (_, text) in request.parameters.iter_mut().filter(|(key, _)| *key == name) {
                        text.clone_from(&nothing);
                    }
                    request.hidden = Some((name, id));
                    Ok(())
                }
                Some(_) => Err(denied()),
                None => require(request.gate.allows(&own, "")),
            },
            (Access::Listing(_), _) if own == "*" => Ok(()),
            _ => {
                let name = ["pool", "path"].into_iter().map(|name| request.parameter(name)).find(|text| !text.is_empty());
                require(request.gate.allows(&own, name.unwrap_or_default()))
            }
        }
    }

    fn handle(&self, route: &Route<S>, request: Request) -> Handling {
        Handling {
            asks: route.late || route.access == Access::Filtered || matches!(route.access, Access::Listing(_)),
            gate: Arc::clone(&request.gate.asked),
            hidden: request.hidden.as_ref().map(|(name, sent)| Box::new((request.parameter(name).to_owned(), sent.clone()))),
            pattern: route.pattern,
            answer: (route.handler)(Arc::clone(&self.inner.state), request),
        }
    }

    fn finish(&self, reply: Reply, outgoing: Outgoing) -> Response<Body> {
        let body = match reply.payload {
            Payload::Empty => Body::Full(None),
            Payload::Json(compact) if outgoing.pretty => Body::Full(Some(json::pretty(&compact).into())),
            Payload::Json(compact) => Body::Full(Some(compact.into())),
            Payload::Bytes(bytes) => Body::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Payload::Stream(stream) => Body::Stream(stream),
        };
        let coding = outgoing.coding.filter(|_| reply.status != StatusCode::NO_CONTENT);
        let mut response = Response::new(match coding {
            Some(coding) => coding.encode(body),
            None => body,
        });
        *response.status_mut() = reply.status;
        if reply.until_close {
            *response.version_mut() = Version::HTTP_10;
        }
        if let Some(session) = reply.session {
            response.extensions_mut().insert(session);
        }
        let headers = response.headers_mut();
        for (name, value) in &self.inner.options.response_headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.extend(reply.headers);
        let mut vary = "Accept-Encoding".to_owned();
        if let Some(cors) = outgoing.cors {
            vary.push_str(", Origin");
            if is_preflight(&cors) {
                vary.push_str(", ");
                vary.push_str(VARY_OF_PREFLIGHT);
            }
            headers.extend(cors);
        }
        if let Ok(vary) = HeaderValue::from_str(&vary) {
            headers.insert(VARY, vary);
        }
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        response
    }
}

/// An answer that does not depend on encodings, because none was offered.
fn unvaried(mut response: Response<Body>) -> Response<Body> {
    let vary = response.headers_mut().remove(VARY);
    let rest = vary.as_ref().and_then(|vary| vary.to_str().ok()).and_then(|vary| vary.strip_prefix("Accept-Encoding, "));
    if let Some(rest) = rest.and_then(|rest| HeaderValue::from_str(rest).ok()) {
        response.headers_mut().insert(VARY, rest);
    }
    response
}

/// What a task is told whose token did not help it. Only what looks like a token is one that nobody has.
fn refused_task(secret: &str, error: &ApiError) -> ApiError {
    let is_token = secret.split('.').count() == 3 || secret.parse::<drover_base::Id<()>>().is_ok();
    if is_token && error.status == StatusCode::FORBIDDEN {
        return ApiError::new(StatusCode::FORBIDDEN, "Forbidden");
    }
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Server error authenticating request\n")
}

/// The refusal of a method; a few paths have a status of their own for it.
fn wrong_method(path: &str) -> ApiError {
    let refusal = ApiError::method();
    let status = match path {
        path if path.starts_with("/v1/var/") => StatusCode::BAD_REQUEST,
        path if path.starts_with("/v1/operator/raft/") || path.starts_with("/v1/operator/autopilot/") => StatusCode::NOT_FOUND,
        _ => refusal.status,
    };
    ApiError::new(status, refusal.text)
}

/// The path that other origins may only read.
const LISTED: &str = "/v1/vars";

/// What the answer to a preflight varies with beside the origin.
const VARY_OF_PREFLIGHT: &str = "Access-Control-Request-Method, Access-Control-Request-Headers";

/// Whether these are the headers of the answer to a preflight.
/// Headers in memory of their own. Those that come with a request are parts of the buffer that was read, which the connection could not
/// use again as long as they are held: eight KiB for each request that waits.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let copy = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        copy.set_sensitive(value.is_sensitive());
        Some((name, copy))
    };
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter_map(copy) {
        out.append(name, value);
    }
    out
}

fn is_preflight(cors: &HeaderMap) -> bool {
    cors.contains_key(ACCESS_CONTROL_ALLOW_METHODS) || cors.contains_key(VARY)
}

/// How far an answer is.
enum Step {
    Done(Box<Reply>),
    Handler(Handling),
    /// Another agent is needed first.
    Elsewhere(BoxFuture<'static, Result<Elsewhere, ApiError>>),
}

/// What another agent said.
enum Elsewhere {
    /// The answer.
    Answered(Box<Response<Body>>),
    /// Who asks; the answer is made here.
    Here(Handling),
}

fn into_inner<T>(cell: Mutex<Option<T>>) -> Option<T> {
    cell.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Step {
    fn done(reply: Reply) -> Self {
        Self::Done(Box::new(reply))
    }
}

/// A handler at work.
struct Handling {
    answer: crate::route::Answer,
    /// The handler itself holds the caller to the rule, and says so here.
    asks: bool,
    gate: Arc<std::sync::atomic::AtomicBool>,
    /// What the handler was shown instead of what the caller sent.
    hidden: Option<Box<(String, String)>>,
    pattern: &'static str,
}

impl Handling {
    async fn end(self) -> Result<Reply, ApiError> {
        let Self { answer, asks, gate, hidden, pattern } = self;
        let mut answer = answer.await;
        if asks && answer.is_ok() && !gate.load(std::sync::atomic::Ordering::Relaxed) {
            tracing::error!(route = pattern, "an answer was not checked against the access rules and is not sent");
            return Err(ApiError::by_text("the answer was not checked against the access rules"));
        }
        if let (Err(error), Some(hidden)) = (&mut answer, hidden) {
            error.text = error.text.replace(&hidden.0, &hidden.1);
        }
        answer
    }
}

struct Outgoing {
    pretty: bool,
    coding: Option<Coding>,
    /// Present on routes open to other origins.
    cors: Option<HeaderMap>,
}

/// What a browser of another origin is told. Empty when there is no origin; with a method list for a preflight.
///
/// A preflight for a method that the path is not open for gets nothing but the list of what the answer varies with.
fn cors_headers(method: &Method, request: &HeaderMap, path: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !request.contains_key(ORIGIN) {
        return headers;
    }
    let asked = request.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|asked| asked.to_str().ok());
    if method == Method::OPTIONS && asked.is_some_and(|asked| path == LISTED && !["GET", "HEAD"].contains(&asked)) {
        headers.insert(VARY, HeaderValue::from_static(VARY_OF_PREFLIGHT));
        return headers;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if method != Method::OPTIONS {
        return headers;
    }
    if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
    headers
}

fn redirect(path: &str, query: Option<&str>, head: bool) -> Reply {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let shown: String = target
        .chars()
        .flat_map(|letter| match letter {
            '&' => "&amp;".chars().collect::<Vec<_>>(),
            '<' => "&lt;".chars().collect(),
            '>' => "&gt;".chars().collect(),
            '"' => "&#34;".chars().collect(),
            other => vec![other],
        })
        .collect();
    let body = if head { String::new() } else { format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n") };
    let mut reply = Reply::text(body).status(StatusCode::TEMPORARY_REDIRECT);
    reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(location) = HeaderValue::from_str(&target) {
        reply.headers.insert(LOCATION, location);
    }
    reply
}
