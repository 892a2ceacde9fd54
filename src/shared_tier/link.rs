//! One connection to the server, and the commands that are sent over it.

use std::{io, time::Duration};

use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection, cmd,
    pipe,
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    bounded::Allowance,
    position::{Era, Position},
};

/// A connection that stands, as far as is known.
pub(super) struct Link {
    pub(super) commands: MultiplexedConnection,
    /// What may be read over it.
    pub(super) allowance: Allowance,
    /// Sends and receives, for as long as the link is kept.
    pub(super) _driver: AbortOnDropHandle<()>,
}

/// Why a connection is not used any more, or was never made.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// It could not be made, or was lost.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// Nothing has come for too long.
    #[error("no response in time")]
    Timeout,
    /// The server refuses what it was asked for, or it was lost on the way.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// It says something else than was asked for.
    #[error("a response that is none: {0}")]
    Unexpected(&'static str),
}

/// One entry of the log, as it is there.
pub(super) type RawEntry = (Position, Vec<u8>);

/// Until a command has its response. Whoever waits for one has less patience; a server that is
/// silent for so long is most likely silent for good.
const TIMEOUT: Duration = Duration::from_millis(750);

/// Between two attempts to connect, or to write what was refused.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Bytes of the responses to one question: those of a page of the longest entries.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// The field of an entry of the log.
const FIELD: &str = "v";

impl LinkError {
    /// Whether nobody listens there.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

impl Link {
    /// Which run of which server this is, and what its clock shows since 1970.
    pub(super) async fn server(&self) -> Result<(Era, Duration), LinkError> {
        let info: Vec<u8> =
            read_as(self.ask(cmd("INFO").arg("server"), MAX_RESPONSE).await?, "INFO")?;
        let find = |name: &[u8]| {
            let mut lines = info.split(|&byte| byte == b'\n');
            let value = lines.find_map(|line| line.trim_ascii_end().strip_prefix(name));
            value.filter(|value| !value.is_empty())
        };
        let era = find(b"run_id:").map(Era::of);
        let era = era.ok_or(LinkError::Unexpected("INFO without run_id"))?;
        let microseconds = find(b"server_time_usec:")
            .and_then(|text| str::from_utf8(text).ok()?.parse().ok())
            .ok_or(LinkError::Unexpected("INFO without server_time_usec"))?;
        Ok((era, Duration::from_micros(microseconds)))
    }

    /// Puts `sign` under `name` among the signs there.
    pub(super) async fn sign(
        &self,
        signs: &str,
        name: &[u8],
        sign: &[u8],
    ) -> Result<(), LinkError> {
        let mut command = cmd("HSET");
        command.arg(signs).arg(name).arg(sign);
        self.ask(&command, MAX_RESPONSE).await.map(drop)
    }

    /// All signs there, each with its name.
    pub(super) async fn signs(&self, signs: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, LinkError> {
        read_as(self.ask(cmd("HGETALL").arg(signs), MAX_RESPONSE).await?, "HGETALL")
    }

    /// Removes the signs of these names.
    pub(super) async fn remove_signs(
        &self,
        signs: &str,
        names: &[Vec<u8>],
    ) -> Result<(), LinkError> {
        let mut command = cmd("HDEL");
        self.ask(command.arg(signs).arg(names), MAX_RESPONSE)
            .await
            .map(drop)
    }

    /// The values of these names, of which all that are asked for may take so many bytes.
    pub(super) async fn values(
        &self,
        names: &[Vec<u8>],
        max_bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, LinkError> {
        let response = self.ask(cmd("MGET").arg(names), max_bytes).await?;
        values(response, names.len())
    }

    /// Keeps values under their names for so long each. Gives for each whether it is kept.
    pub(super) async fn keep(
        &self,
        values: impl Iterator<Item = (Vec<u8>, Vec<u8>, Duration)>,
    ) -> Result<Vec<RedisResult<()>>, LinkError> {
        let mut commands = pipe();
        for (name, value, life) in values {
            let milliseconds = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
            let command = commands.cmd("SET").arg(name).arg(value);
            command.arg("PX").arg(milliseconds);
        }
        let responses = self.ask_all(&commands, MAX_RESPONSE).await?;
        let kept = responses
            .into_iter()
            .map(|response| response.extract_error().map(drop));
        Ok(kept.collect())
    }

    /// The responses to `commands`, which may take so many bytes.
    pub(super) async fn ask_all(
        &self,
        commands: &Pipeline,
        max_bytes: usize,
    ) -> Result<Vec<Value>, LinkError> {
        self.allowance.set(max_bytes);
        let (mut link, count) = (self.commands.clone(), commands.len());
        within(link.send_packed_commands(commands, 0, count)).await
    }

    /// Puts a sign, `(signs, name, sign)`, and after that reads entries of the log from `first` on,
    /// that one included, up to `count`. Gives them, and why the sign was refused.
    pub(super) async fn sign_and_read(
        &self,
        (signs, name, sign): (&str, &[u8], &[u8]),
        log: &str,
        first: Option<Position>,
        count: usize,
    ) -> Result<(Vec<RawEntry>, Option<RedisError>), LinkError> {
        let first = first.map_or("-".to_owned(), |first| first.to_string());
        let mut commands = pipe();
        commands.cmd("HSET").arg(signs).arg(name).arg(sign);
        let read = commands.cmd("XRANGE").arg(log).arg(first).arg("+");
        read.arg("COUNT").arg(count);
        let responses = self.ask_all(&commands, MAX_RESPONSE).await?;
        let [signed, entries] =
            <[_; 2]>::try_from(responses).map_err(|_| LinkError::Unexpected("HSET and XRANGE"))?;
        let entries: Vec<(Vec<u8>, Vec<Vec<u8>>)> = read_as(entries.extract_error()?, "XRANGE")?;
        let entries = entries.into_iter().map(|(id, fields)| {
            // What has other fields nobody here can read.
            let bytes = match <[_; 2]>::try_from(fields) {
                Ok([field, bytes]) if field == FIELD.as_bytes() => bytes,
                _ => Vec::new(),
            };
            Ok((position(&id, "XRANGE")?, bytes))
        });
        let entries = entries.collect::<Result<_, LinkError>>()?;
        Ok((entries, signed.extract_error().err()))
    }

    /// Puts `entries` behind everything else in the log, which keeps at least the last `keep`.
    /// Gives where they stand there, from the first on, and why the next is not there.
    pub(super) async fn append(
        &self,
        log: &str,
        keep: usize,
        entries: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(Vec<Position>, Option<RedisError>), LinkError> {
        let mut commands = pipe();
        for entry in entries {
            let command = commands.cmd("XADD").arg(log);
            command
                .arg("MAXLEN")
                .arg("~")
                .arg(keep)
                .arg("*")
                .arg(FIELD)
                .arg(entry);
        }
        let responses = self.ask_all(&commands, MAX_RESPONSE).await?;
        let mut positions = Vec::with_capacity(responses.len());
        for response in responses {
            match response.extract_error() {
                Ok(id) => positions.push(position(&read_as::<Vec<u8>>(id, "XADD")?, "XADD")?),
                Err(refused) => return Ok((positions, Some(refused))),
            }
        }
        Ok((positions, None))
    }

    /// The response to `command`, which may take so many bytes.
    async fn ask(&self, command: &Cmd, max_bytes: usize) -> Result<Value, LinkError> {
        // One is asked at a time; beside it, only the short responses to what is appended come.
        self.allowance.set(max_bytes);
        let mut link = self.commands.clone();
        Ok(within(link.send_packed_command(command))
            .await?
            .extract_error()?)
    }
}

async fn within<T>(asking: impl Future<Output = RedisResult<T>>) -> Result<T, LinkError> {
    Ok(timeout(TIMEOUT, asking)
        .await
        .map_err(|_| LinkError::Timeout)??)
}

/// What an MGET of so many names gives.
pub(super) fn values(response: Value, count: usize) -> Result<Vec<Option<Vec<u8>>>, LinkError> {
    let values: Vec<_> = read_as(response, "MGET")?;
    match values.len() == count {
        true => Ok(values),
        false => Err(LinkError::Unexpected("MGET")),
    }
}

/// What `command` gives, if it is of this shape.
fn read_as<T: FromRedisValue>(response: Value, command: &'static str) -> Result<T, LinkError> {
    T::from_redis_value(response).map_err(|_| LinkError::Unexpected(command))
}

fn position(id: &[u8], command: &'static str) -> Result<Position, LinkError> {
    let position = str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    position.ok_or(LinkError::Unexpected(command))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::shared_tier::endpoint::Endpoint;

    /// Asks a server that answers everything with `head` and then, as long as it is read from,
    /// with zeros. Gives what comes of that, and how many bytes were taken.
    async fn ask(head: &'static [u8], is_endless: bool) -> (LinkError, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(head).await.unwrap();
            let (zeros, mut sent) = ([0; 64 * 1024], head.len());
            while is_endless && stream.write_all(&zeros).await.is_ok() {
                sent += zeros.len();
            }
            sent
        });
        let login = redis::RedisConnectionInfo::default().set_skip_set_lib_name();
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port, tls: None, login };
        let link = endpoint.dial().await.unwrap();
        let error = link.server().await.unwrap_err();
        drop(link);
        (error, serving.await.unwrap())
    }

    #[tokio::test]
    async fn reads_no_more_than_a_response_may_have() {
        let (error, taken) = ask(b"$500000000\r\n", true).await;
        assert!(matches!(error, LinkError::Redis(_)), "{error}");
        // The rest was on its way.
        assert!(taken < 4 * MAX_RESPONSE, "{taken}");
    }

    #[tokio::test]
    async fn takes_nothing_that_it_did_not_ask_for() {
        for head in [
            &b"+OK\r\n"[..],
            b":1\r\n",
            b"$-1\r\n",
            b"*0\r\n",
            b"$8\r\nrun_id:\n\r\n",
            b"$9\r\nrun_id:a\n\r\n",
            b"-NOPERM no\r\n",
            b"!!\r\n",
        ] {
            let (error, _) = ask(head, false).await;
            let is_told = matches!(error, LinkError::Unexpected(_) | LinkError::Redis(_));
            assert!(is_told, "{head:?}: {error}");
        }
    }
}
