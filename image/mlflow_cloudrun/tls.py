"""How the database's certificate is checked: what a connection string says of it, for the image and for the stack.

A database in a network is who its certificate says, or nobody. Its authority issues certificates of that one instance,
and they name no host: what stands there adds nothing. https://cloud.google.com/sql/docs/postgres/configure-ssl-instance
"""

VARIABLE = "DATABASE_CA"
"""The environment variable with the certificate of that authority; there are several during a rotation."""

FILE = "/tmp/database-ca.pem"  # noqa: S108 - the container's own
"""Where the image writes it: drivers read certificates from files alone."""

QUERIES = {
    "postgresql+psycopg2": f"sslmode=verify-ca&sslrootcert={FILE}",
    "mysql+pymysql": f"ssl_ca={FILE}&ssl_check_hostname=false",
}
"""By the scheme of the connection string, what stands behind its question mark."""
