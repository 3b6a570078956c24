"""What every Python client is put through."""

TOPIC = "compat"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ACKS = ["0", "1", "all"]
TIMES = [1700000000000, 1700000001000, 1700000002000]


def values(codec, acks):
    return [f"{codec}-{acks}-{number}" for number in range(len(TIMES))]


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: {found} where {expected} is expected")


def done():
    print("well")
