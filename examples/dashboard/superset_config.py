"""Settings of the Superset that examples/dashboard/run starts: one process, for this machine alone."""

import os

from superset.config import TALISMAN_CONFIG
from superset.utils.log import StdOutEventLogger

HOME = os.environ["SUPERSET_HOME"]

with open(os.path.join(HOME, "secret_key")) as key:
    SECRET_KEY = key.read()

# Superset's own tables: users, charts, dashboards
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?check_same_thread=false"

# who looked at what is of no interest here
EVENT_LOGGER = StdOutEventLogger()

# Each refresh asks the database; there is nothing to be gained by a cache in
# front of tables that hold the answers already.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

# The browser is not to tell anybody outside that somebody looks.
for policy in TALISMAN_CONFIG["content_security_policy"].values():
    if isinstance(policy, list):
        policy[:] = [source for source in policy if "scarf.sh" not in source]
