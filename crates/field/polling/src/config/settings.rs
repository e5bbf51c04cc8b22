//! The settings of a link, by name.

/// Every setting, with what it means.
pub const SETTINGS: [(&str, &str); 34] = [
    (
        "SUBSCRIPTION",
        "heartbeat subjects, comma-separated, each with an optional |queue group",
    ),
    (
        "URI",
        "NATS server, or several, best first, comma-separated (default nats://127.0.0.1:4222)",
    ),
    (
        "RETURN_AFTER_S",
        "how often it is looked whether a better one of several servers is back",
    ),
    (
        "REPLICAS",
        "servers of a cluster that each store what is stored",
    ),
    ("CLIENT_JWT", "user JWT for that server"),
    (
        "CLIENT_SEED",
        "seed that belongs to CLIENT_JWT, or of an nkey that the server's configuration lists",
    ),
    ("CLIENT_SEED_FILE", "file with that seed, instead of itself"),
    (
        "TLS_CA",
        "authorities (PEM, or a file with them) that vouch for that server; nothing but TLS is spoken then",
    ),
    (
        "PREFIX",
        "subjects below which device topics must lie (default: of each heartbeat subject, all but the last token)",
    ),
    (
        "CONFINED",
        "those of them whose sensors announce themselves below it, on a subject that carries their id",
    ),
    (
        "INSTANCE",
        "name in the subjects of stored results (default: the linked component)",
    ),
    (
        "POLL_TIMEOUT_MS",
        "how long a poll waits for its answer at least; longer where the sensor has shown or says that it needs it",
    ),
    (
        "LATE_WINDOW_MS",
        "how long after that an answer is recognised as late",
    ),
    (
        "POLL_INTERVAL_MIN_MS",
        "shortest poll interval a heartbeat may ask for",
    ),
    (
        "POLL_INTERVAL_MAX_MS",
        "longest poll interval a heartbeat may ask for",
    ),
    (
        "STALE_AFTER_MS",
        "silence after which a sensor is stale: three heartbeats of a Pico W or of the simulator",
    ),
    (
        "DOWN_AFTER",
        "unanswered polls in a row after which a sensor is down",
    ),
    (
        "RETRY_MAX_MS",
        "longest pause between polls of a sensor that is down",
    ),
    (
        "FORGET_AFTER_S",
        "silence after which a sensor is forgotten",
    ),
    (
        "SENSORS_MAX",
        "most sensors; a CONFINED one takes the place of another that has not answered",
    ),
    ("OUTSTANDING_MAX", "most polls under way"),
    (
        "PATTERNS_MAX",
        "most subscriptions for topics of CONFINED sensors, and as many for those of others",
    ),
    (
        "HEARTBEATS_PER_S",
        "most heartbeats of CONFINED sensors looked at per second, and as many of others",
    ),
    (
        "HISTORY_PER_S",
        "most readings per second of those that devices kept and send later",
    ),
    (
        "UNSIGNED",
        "allow or refuse: whether sensors that show no key may register (default allow)",
    ),
    ("BATCH_COUNT", "most results in a batch"),
    ("BATCH_BYTES", "most bytes in a batch"),
    ("BATCH_AGE_MS", "longest wait of a result for its batch"),
    (
        "BUFFER_MAX",
        "most results kept in memory while JetStream cannot be reached; then polling stops",
    ),
    (
        "STORED_BYTES_MAX",
        "most bytes of batches stored in the stream while the log takes none; then polling stops",
    ),
    (
        "LANES",
        "deliveries at a time; a sensor keeps to one lane, so that its readings keep their order",
    ),
    ("CALL_TIMEOUT_MS", "how long a delivery may take"),
    (
        "DRAIN_PER_S",
        "most results per second of a backlog, beside as many as are polled meanwhile",
    ),
    (
        "EVENTS",
        "subject whose messages are kept until the event logger has recorded them (none if absent)",
    ),
];
