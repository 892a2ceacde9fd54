//! The commands by which one replica leases vehicles.

use std::time::Duration;

use redis::{RedisResult, Value, pipe};

use super::link::{Link, LinkError, values};

/// Whose a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    This,
    Another,
    /// Nobody's: the server keeps none.
    Nobody,
}

/// What stands under a name: whose lease, and which value.
pub(super) type Leased = (Owner, Option<Vec<u8>>);

/// Bytes of the response to a command that only says whether it was done.
pub(super) const SHORT: usize = 64;

/// The name of the lease on what is kept under `name`.
pub(super) fn lease_on(name: &[u8]) -> Vec<u8> {
    [name, b"L"].concat()
}

impl Link {
    /// Leases what is to be kept under `names`, for so long and as long as nobody else does. Then
    /// looks what stands there: whoever leased one before may have kept it and gone.
    pub(super) async fn lease(
        &self,
        names: &[Vec<u8>],
        replica: u64,
        life: Duration,
        max_bytes: usize,
    ) -> Result<Vec<Leased>, LinkError> {
        let mut commands = pipe();
        for name in names {
            let command = commands.cmd("SET").arg(lease_on(name));
            let command = command.arg(&replica.to_le_bytes()[..]);
            command.arg("NX").arg("PX").arg(life.as_millis() as u64);
        }
        commands.cmd("MGET").arg(names);
        let mut responses = self.ask_all(&commands, max_bytes).await?;
        let last = responses.pop().ok_or(LinkError::Unexpected("MGET"))?;
        let owners = responses.into_iter().map(|response| match response {
            Value::Okay => Owner::This,
            Value::Nil => Owner::Another,
            _ => Owner::Nobody,
        });
        Ok(owners
            .zip(values(last.extract_error()?, names.len())?)
            .collect())
    }

    /// Whether what is kept under `names` is leased, and what it is.
    pub(super) async fn look(
        &self,
        names: &[Vec<u8>],
        max_bytes: usize,
    ) -> Result<Vec<Leased>, LinkError> {
        let leases = names.iter().map(|name| lease_on(name));
        let both: Vec<_> = names.iter().cloned().chain(leases).collect();
        let mut found = self.values(&both, max_bytes).await?;
        let owners = found
            .split_off(names.len())
            .into_iter()
            .map(|lease| match lease {
                Some(_) => Owner::Another,
                None => Owner::Nobody,
            });
        Ok(owners.zip(found).collect())
    }

    /// Keeps leases for so long from now.
    pub(super) async fn extend(&self, leases: &[Vec<u8>], life: Duration) -> Result<(), LinkError> {
        let mut commands = pipe();
        for lease in leases {
            commands
                .cmd("PEXPIRE")
                .arg(lease)
                .arg(life.as_millis() as u64);
        }
        self.ask_all(&commands, SHORT * leases.len())
            .await
            .map(drop)
    }

    /// Lets go of leases. Gives whether the server does.
    pub(super) async fn release(&self, leases: &[Vec<u8>]) -> Result<RedisResult<()>, LinkError> {
        let mut commands = pipe();
        commands.cmd("DEL").arg(leases);
        let responses = self.ask_all(&commands, SHORT).await?;
        let refused = responses
            .into_iter()
            .find_map(|it| it.extract_error().err());
        Ok(refused.map_or(Ok(()), Err))
    }
}
