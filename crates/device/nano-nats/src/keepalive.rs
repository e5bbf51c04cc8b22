//! Whether the server still answers.

/// When to ask the server for a sign of life, and when to give it up. Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Between two `PING`s.
    pub interval_ms: u32,
    /// `PING`s without an answer after which the connection is given up, instead of sending
    /// another.
    pub max_unanswered: u8,
    /// From the beginning of a connection until the server has accepted the client.
    pub handshake_ms: u32,
}

impl Default for Keepalive {
    /// 30 s, two unanswered, 10 s for the handshake: a dead server is noticed within 90 s.
    fn default() -> Self {
        Self {
            interval_ms: 30_000,
            max_unanswered: 2,
            handshake_ms: 10_000,
        }
    }
}

/// The server has not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has not answered for {silent_ms} ms")]
pub struct Unresponsive {
    /// Milliseconds since the first `PING`, or the beginning of the handshake, without an answer.
    pub silent_ms: u64,
}

/// What the keepalive of one connection knows.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    settings: Keepalive,
    handshake_from: Option<u64>,
    next_ping: Option<u64>,
    silent_from: Option<u64>,
    unanswered: u8,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) is_ping_due: bool,
    /// When to ask again.
    pub(crate) next: u64,
}

impl Watch {
    pub(crate) const fn new(settings: Keepalive) -> Self {
        Self {
            settings,
            handshake_from: None,
            next_ping: None,
            silent_from: None,
            unanswered: 0,
        }
    }

    pub(crate) const fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    pub(crate) const fn answered(&mut self) {
        self.unanswered = 0;
        self.silent_from = None;
    }

    pub(crate) fn tick(&mut self, now: u64, is_connected: bool) -> Result<Due, Unresponsive> {
        if !is_connected {
            let from = *self.handshake_from.get_or_insert(now);
            let silent_ms = now.saturating_sub(from);
            let allowed = u64::from(self.settings.handshake_ms);
            return match silent_ms < allowed {
                true => Ok(Due {
                    is_ping_due: false,
                    next: from.saturating_add(allowed),
                }),
                false => Err(Unresponsive { silent_ms }),
            };
        }
        let interval = u64::from(self.settings.interval_ms.max(1));
        let next = *self.next_ping.get_or_insert(now.saturating_add(interval));
        if now < next {
            return Ok(Due {
                is_ping_due: false,
                next,
            });
        }
        if self.unanswered >= self.settings.max_unanswered.max(1) {
            let from = self.silent_from.unwrap_or(now);
            return Err(Unresponsive {
                silent_ms: now.saturating_sub(from),
            });
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.silent_from.get_or_insert(now);
        let next = now.saturating_add(interval);
        self.next_ping = Some(next);
        Ok(Due {
            is_ping_due: true,
            next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(Keepalive {
            interval_ms: 100,
            max_unanswered: 2,
            handshake_ms: 50,
        })
    }

    #[test]
    fn a_handshake_that_takes_too_long() {
        let mut watch = watch();
        assert_eq!(
            watch.tick(1_000, false),
            Ok(Due {
                is_ping_due: false,
                next: 1_050
            })
        );
        assert_eq!(
            watch.tick(1_049, false),
            Ok(Due {
                is_ping_due: false,
                next: 1_050
            })
        );
        assert_eq!(
            watch.tick(1_050, false),
            Err(Unresponsive { silent_ms: 50 })
        );
        watch.reset();
        assert!(watch.tick(2_000, false).is_ok());
    }

    #[test]
    fn a_server_that_falls_silent() {
        let mut watch = watch();
        assert_eq!(
            watch.tick(0, true),
            Ok(Due {
                is_ping_due: false,
                next: 100
            })
        );
        assert_eq!(
            watch.tick(100, true),
            Ok(Due {
                is_ping_due: true,
                next: 200
            })
        );
        watch.answered();
        assert_eq!(
            watch.tick(200, true),
            Ok(Due {
                is_ping_due: true,
                next: 300
            })
        );
        assert_eq!(
            watch.tick(250, true),
            Ok(Due {
                is_ping_due: false,
                next: 300
            })
        );
        assert_eq!(
            watch.tick(300, true),
            Ok(Due {
                is_ping_due: true,
                next: 400
            })
        );
        assert_eq!(watch.tick(400, true), Err(Unresponsive { silent_ms: 200 }));
    }
}
