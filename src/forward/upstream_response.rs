//! What a client sees of the upstream's response.

use std::sync::Arc;

use http::{Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;

use super::{
    Error, header_filter, location, message_length, provenance::append_via,
    request_body::BodyMonitor, response_body::ResponseBody, shared::Shared, trailers::Trailers,
    upgrade, write,
};
use crate::{
    auth::Credential,
    body::{Body, Tunnel},
    proxy_status, upstream,
    vehicle_cache::Cause,
};

/// What has to be remembered of a request until its response comes.
pub(super) struct ResponseContext {
    pub(super) shared: Arc<Shared>,
    pub(super) credential: Option<Credential>,
    pub(super) upgrade: Option<OnUpgrade>,
    pub(super) body: Option<Arc<BodyMonitor>>,
}

impl ResponseContext {
    /// Makes the upstream's response the client's.
    pub(super) async fn finish(
        self,
        response: Result<Box<Response<Body>>, upstream::Error>,
    ) -> Result<Response<Body>, Error> {
        if let Some(failure) = self.body.as_ref().and_then(|body| body.take_failure()) {
            return Err(Error::Body(failure));
        }
        let is_unauthorized = match &response {
            Ok(response) => upstream::refuses_credential(response.status()),
            Err(error) => error.refuses_credential(),
        };
        if is_unauthorized {
            self.drop_own().await;
        }
        let mut response = response?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(*response);
        }
        self.strip(&mut response);
        location::rewrite(response.headers_mut(), &self.shared.origin);
        if let Some(Credential { is_account: true, .. }) = self.credential {
            // It is none of the client's business.
            proxy_status::on_account_refused(response.status(), response.headers_mut());
        }
        let config = &self.shared.config;
        let trailers = Trailers::announced(response.headers_mut(), &config.credential_headers);
        message_length::settle_length(&mut response);
        if response.body().is_buffered() {
            return Ok(*response);
        }
        let idle_timeout = config.stream_idle_timeout;
        Ok(response.map(|body| Body::new(ResponseBody::new(body, idle_timeout, trailers))))
    }

    /// Connects client and upstream for as long as they like.
    fn switch(mut self, mut response: Response<Body>) -> Result<Response<Body>, Error> {
        let is_websocket = upgrade::is_websocket(response.headers());
        let client = self
            .upgrade
            .take()
            .filter(|_| is_websocket)
            .ok_or(Error::UnaskedUpgrade)?;
        let upstream = hyper::upgrade::on(&mut response);
        self.strip(&mut response);
        upgrade::announce(response.headers_mut());
        // The call's permit, and below whatever the client's request counts against.
        let tunnel = Tunnel::default();
        let call = std::mem::replace(response.body_mut(), Body::before(&tunnel));
        let idle_timeout = self.shared.config.stream_idle_timeout;
        self.shared
            .tasks
            .spawn(upgrade::tunnel(client, upstream, idle_timeout, (call, tunnel)));
        Ok(response)
    }

    fn strip(&self, response: &mut Response<Body>) {
        let received = response.version();
        header_filter::strip_response(
            response.headers_mut(),
            &self.shared.config.credential_headers,
        );
        append_via(response.headers_mut(), received);
        // A response to HTTP/1.1 that says HTTP/1.0 would look like one that was cut off.
        *response.version_mut() = Version::HTTP_11;
    }

    /// The upstream refuses the credential: the client's own fills no entry any more.
    async fn drop_own(&self) {
        if let Some(partition) = write::own_partition(self.credential.as_ref()) {
            let cache = &self.shared.cache;
            cache
                .invalidate(partition.into(), Cause::Unauthorized, None)
                .await;
        }
    }
}
